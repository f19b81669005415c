import type { Component, ErrorBody, ErrorCode } from '@ebb/contract';

/** What an error answer carries besides its message. */
export interface ApiErrorDetails {
  readonly code: ErrorCode;
  readonly status: number;
  readonly component?: Component;
  readonly callId?: string;
  readonly logs?: readonly string[];
  readonly retryAfterSeconds?: number;
}

/** The server answered, with an error. The message is one sentence for a person. */
export class EbbApiError extends Error {
  /** Stable code from the error catalog. */
  readonly code: ErrorCode;
  /** HTTP status of the answer. */
  readonly status: number;
  /** The part of Ebb that reports it; absent when the answer did not come from Ebb. */
  readonly component: Component | undefined;
  /** Id under which the server's log knows the call. */
  readonly callId: string | undefined;
  /** Last lines of an instance whose start failed, oldest first. */
  readonly logs: readonly string[];
  /** Seconds after which a retry makes sense. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, details: ApiErrorDetails) {
    super(message);
    this.name = 'EbbApiError';
    this.code = details.code;
    this.status = details.status;
    this.component = details.component;
    this.callId = details.callId;
    this.logs = details.logs ?? [];
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** No answer came: nothing listens there, the name does not resolve, or the connection broke. */
export class EbbUnreachableError extends Error {
  readonly url: string;

  constructor(url: string, cause: unknown) {
    super(`no answer from ${url}: ${reasonOf(cause)}`, { cause });
    this.name = 'EbbUnreachableError';
    this.url = url;
  }
}

/** Reads an error answer; one that is not from Ebb (a proxy's page) becomes an error that says so. */
export async function readApiError(response: Response, url: string): Promise<EbbApiError> {
  const text = await response.text().catch(() => '');
  const body = parseBody(text);
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  const details = {
    status: response.status,
    ...(Number.isFinite(retryAfter) ? { retryAfterSeconds: retryAfter } : {}),
  };
  if (body) {
    const { code, component, callId, logs, message } = body;
    return new EbbApiError(message, { ...details, code, component, callId, ...(logs ? { logs } : {}) });
  }
  const callId = response.headers.get('x-call-id');
  return new EbbApiError(`the server at ${url} answered ${response.status} without saying why; is it Ebb?`, {
    ...details,
    code: 'INTERNAL',
    ...(callId === null ? {} : { callId }),
  });
}

function parseBody(text: string): ErrorBody | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return isErrorBody(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

function isErrorBody(body: unknown): body is ErrorBody {
  if (typeof body !== 'object' || body === null) return false;
  return 'code' in body && typeof body.code === 'string' && 'message' in body && typeof body.message === 'string';
}

function reasonOf(cause: unknown): string {
  // fetch wraps what went wrong in "fetch failed"; the words worth reading are in the innermost cause.
  let error = cause;
  while (error instanceof Error && error.cause instanceof Error) error = error.cause;
  if (!(error instanceof Error)) return 'the request failed';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === 'ECONNREFUSED') return 'nothing listens there';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the host name does not resolve';
  if (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET') return 'the connection was cut';
  return error.message || code || 'the request failed';
}
