import type { ErrorCode } from '@ebb/contract';

/** What can go wrong between the gateway and an instance. */
export type InstanceFailure = Extract<ErrorCode, 'INSTANCE_REFUSED' | 'INSTANCE_CRASHED' | 'BAD_RESPONSE'>;

/** What a client library says of a failure. */
export interface FailureSigns {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
}

const BAD_RESPONSE_CODES: ReadonlySet<string> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'ERR_INVALID_CHAR',
  // A status below 100.
  'ERR_ASSERTION',
]);
/** An upgrade nobody asked for, or an answer when no request was open. */
const BAD_RESPONSE_TEXT = /^bad (?:upgrade|response)$/;

/** What went wrong between the gateway and an instance. `requestSent`: whether a byte may have reached it. */
export function classifyFailure(error: FailureSigns, requestSent: boolean): InstanceFailure {
  const { name, code = '', message } = error;
  if (
    name === 'HTTPParserError' ||
    code.startsWith('HPE_') ||
    BAD_RESPONSE_CODES.has(code) ||
    BAD_RESPONSE_TEXT.test(message)
  ) {
    return 'BAD_RESPONSE';
  }
  return requestSent ? 'INSTANCE_CRASHED' : 'INSTANCE_REFUSED';
}
