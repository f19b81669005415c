import type { ErrorCode } from '@ebb/contract';

/** What can go wrong between the gateway and an instance. */
export type InstanceFailure = Extract<ErrorCode, 'INSTANCE_REFUSED' | 'INSTANCE_CRASHED' | 'BAD_RESPONSE'>;

/** What a client library says of a failure. */
export interface FailureSigns {
  readonly name: string;
  readonly code?: string;
}

/** What went wrong between the gateway and an instance. `requestSent`: whether a byte may have reached it. */
export function classifyFailure(error: FailureSigns, requestSent: boolean): InstanceFailure {
  const { name, code = '' } = error;
  // The first is this server's own reading of an answer, the second Node's, for upgrades.
  if (name === 'MalformedMessage' || code.startsWith('HPE_')) return 'BAD_RESPONSE';
  return requestSent ? 'INSTANCE_CRASHED' : 'INSTANCE_REFUSED';
}
