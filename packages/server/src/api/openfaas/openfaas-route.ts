import type { IncomingMessage } from 'node:http';
import type { Scope } from '../authorize.ts';
import { EbbError } from '../../core/errors.ts';

/** Methods of the compatible surface. */
export type OpenFaasMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';

/** A request as a handler gets it; nothing of its body has been read. */
export interface OpenFaasCall {
  /** What the path holds at `{name}` and the like, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** The query; of a repeated name the last value. */
  readonly query: Readonly<Record<string, string>>;
  readonly request: IncomingMessage;
  /** Aborts when the caller goes away or the server ends. */
  readonly signal: AbortSignal;
}

/** What is answered: short text, JSON, or lines of JSON that come over time. */
export interface OpenFaasAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as text/plain unless `headers` say otherwise. */
  readonly text?: string;
  readonly json?: unknown;
  /** Each is sent as a line of JSON as it comes, the head at once. */
  readonly lines?: AsyncIterable<unknown>;
}

/** One method on one path. */
export interface OpenFaasRoute {
  readonly method: OpenFaasMethod;
  /** Parameters stand in braces; a slash at the end of a request's path does not matter. */
  readonly path: string;
  /** What the caller must be allowed; `open` needs no credentials (T1). */
  readonly scope: Scope | 'open';
  /** Answers; an {@link EbbError} that is thrown becomes its status with the message as text. */
  run(call: OpenFaasCall): Promise<OpenFaasAnswer> | OpenFaasAnswer;
}

/** An error of the catalog that this surface answers with another status than the catalog's. */
export class AnsweredError extends EbbError {
  readonly answeredStatus: number;

  constructor(cause: EbbError, status: number) {
    super(cause.code, cause.message, { cause });
    this.answeredStatus = status;
  }
}

/** Runs `work` with errors of some codes answered with a status of their own. */
export async function answeringWith<T>(
  statuses: Readonly<Partial<Record<EbbError['code'], number>>>,
  work: () => Promise<T> | T,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const status = error instanceof EbbError ? statuses[error.code] : undefined;
    if (error instanceof EbbError && status !== undefined) throw new AnsweredError(error, status);
    throw error;
  }
}
