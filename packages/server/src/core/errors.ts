import { type Component, type ErrorBody, type ErrorCode, ERRORS } from '@ebb/contract';

/** What an {@link EbbError} may carry besides its message. */
export interface EbbErrorOptions {
  readonly cause?: unknown;
  /** Seconds after which a retry makes sense; answered as `Retry-After`. */
  readonly retryAfterSeconds?: number;
  /** Last lines of an instance whose start failed, oldest first. */
  readonly logs?: readonly string[];
}

/** An expected failure from the error catalog; anything else that is thrown is a defect of the platform. */
export class EbbError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterSeconds: number | undefined;
  readonly logs: readonly string[] | undefined;

  constructor(code: ErrorCode, message: string, options: EbbErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EbbError';
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.logs = options.logs;
  }

  /** HTTP status of the code. */
  get status(): number {
    return ERRORS[this.code].status;
  }

  get component(): Component {
    return ERRORS[this.code].component;
  }
}

/** The error itself when it is expected, else `INTERNAL` with the original as its cause. */
export function asEbbError(error: unknown): EbbError {
  if (error instanceof EbbError) return error;
  return new EbbError('INTERNAL', 'the platform failed on this request; its log has the details under this call id', {
    cause: error,
  });
}

/** The JSON body a caller gets for an error. */
export function errorBody(error: EbbError, callId: string): ErrorBody {
  return {
    code: error.code,
    message: error.message,
    component: error.component,
    callId,
    ...(error.logs === undefined ? {} : { logs: error.logs }),
  };
}
