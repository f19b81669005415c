import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type EbbError, errorBody } from '../core/errors.ts';
import type { Caller } from './caller.ts';
import type { CallHeaders } from './headers.ts';

/** The call that failed; without a moment it began now. */
export type FailedCall = string | Pick<CallHeaders, 'callId' | 'startTime'>;

/** Answers with an error of the catalog: JSON, the call's id and moment, and `Retry-After` where it helps. */
export function sendError(response: ServerResponse, error: EbbError, callId: string): void {
  const body = bodyOf(error, callId);
  response.writeHead(error.status, reasonOf(error), headersOf(error, callId, body));
  response.end(body);
}

/** The same for the caller of an exchange that has not been answered; `timing` for its `Server-Timing`, if any. */
export function answerError(caller: Caller, error: EbbError, call: FailedCall, timing?: string): void {
  if (caller.isGone) return;
  const body = bodyOf(error, call);
  const headers = headersOf(error, call, body);
  if (timing !== undefined) headers.push('Server-Timing', timing);
  caller.answer(error.status, reasonOf(error), headers, Buffer.from(body).toString('latin1'));
}

/** How long a refused connection stays open for the other side to read why. */
const LINGER_MS = 1_000;

/**
 * The same on a bare connection, for requests that never became a response object. The connection is closed, soon
 * even if the other side keeps its half open.
 */
export function sendErrorOnSocket(socket: Duplex, error: EbbError, call: FailedCall): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = bodyOf(error, call);
  const headers = headersOf(error, call, body);
  if (error.code !== 'BAD_REQUEST') headers.push('Connection', 'close');
  let head = `HTTP/1.1 ${error.status} ${reasonOf(error)}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.end(`${head}\r\n${body}`);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(timer));
}

function reasonOf(error: EbbError): string {
  return STATUS_CODES[error.status] ?? 'Error';
}

function bodyOf(error: EbbError, call: FailedCall): string {
  return JSON.stringify(errorBody(error, typeof call === 'string' ? call : call.callId));
}

function headersOf(error: EbbError, call: FailedCall, body: string): string[] {
  const { callId, startTime } = typeof call === 'string' ? { callId: call, startTime: `${Date.now()}000000` } : call;
  const headers = [
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'X-Call-Id',
    callId,
    'X-Start-Time',
    startTime,
    'X-Ebb-Error',
    error.component,
    // By this, queue workers and other callers made for OpenFaaS tell the platform's errors from the function's.
    'X-OpenFaaS-Internal',
    'proxy',
  ];
  // Where the framing is in doubt, so is where the next request begins.
  if (error.code === 'BAD_REQUEST') headers.push('Connection', 'close');
  if (error.code === 'UNAUTHENTICATED') headers.push('WWW-Authenticate', 'Bearer realm="ebb"');
  const retryAfter = error.retryAfterSeconds ?? (error.status === 503 || error.status === 429 ? 1 : undefined);
  if (retryAfter !== undefined) headers.push('Retry-After', String(retryAfter));
  return headers;
}
