import { EbbError } from '../core/errors.ts';
import type { SlotFailure } from '../pool/admission.ts';
import type { Ending } from '../pool/ending.ts';
import { classifyFailure, type FailureSigns, type InstanceFailure } from './classify-failure.ts';

/** The error a caller gets for a failure of an instance of the function `name`. */
export function instanceFailure(name: string, error: FailureSigns, requestSent: boolean): EbbError {
  const code = classifyFailure(error, requestSent);
  return new EbbError(code, `${name} ${FAILURE_TEXT[code]}`, {
    cause: error,
    ...(code === 'BAD_RESPONSE' ? {} : { retryAfterSeconds: 1 }),
  });
}

/** The same error once it is known what became of the instance. */
export function explainFailure(name: string, failure: EbbError, ending: Ending): EbbError {
  const { how, outOfMemory, lines } = ending;
  const message = how === undefined ? failure.message : `the instance of ${name} ${how} during the call`;
  return new EbbError(outOfMemory ? 'OUT_OF_MEMORY' : failure.code, message, {
    cause: failure,
    retryAfterSeconds: 1,
    ...(lines.length > 0 ? { logs: lines } : {}),
  });
}

/** Whether a connection failed because the other side did not take it in time, as one that has all it can take does. */
export function isConnectTimeout({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ETIMEDOUT' || code === 'EAGAIN';
}

const FAILURE_TEXT: Readonly<Record<InstanceFailure, string>> = {
  INSTANCE_REFUSED: 'does not accept connections',
  INSTANCE_CRASHED: 'ended or cut the connection before it answered',
  BAD_RESPONSE: 'answered something that is not well-formed HTTP',
};

/** What a failed call says of its instance; undefined where it says nothing. */
export function slotFailure(code: EbbError['code']): SlotFailure | undefined {
  switch (code) {
    case 'INSTANCE_REFUSED':
      return 'hard';
    case 'INSTANCE_CRASHED':
      return 'broken';
    case 'INSTANCE_BLOCKED':
      return 'silent';
    case 'FUNCTION_TIMEOUT':
      return 'soft';
    default:
      return undefined;
  }
}
