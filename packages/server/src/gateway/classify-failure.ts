import type { ErrorCode } from '@ebb/contract';

/** What went wrong between the gateway and an instance, from the error's code alone. */
export function classifyFailure(
  code: string | undefined,
  requestSent: boolean,
): Extract<ErrorCode, 'INSTANCE_REFUSED' | 'INSTANCE_CRASHED' | 'BAD_RESPONSE'> {
  if (
    code !== undefined &&
    (code.startsWith('HPE_') ||
      code === 'UND_ERR_HEADERS_OVERFLOW' ||
      code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' ||
      code === 'ERR_INVALID_CHAR')
  ) {
    return 'BAD_RESPONSE';
  }
  return requestSent ? 'INSTANCE_CRASHED' : 'INSTANCE_REFUSED';
}
