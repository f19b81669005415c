import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { STATUS_CODES } from 'node:http';
import { type EbbError, errorBody } from '../core/errors.ts';

/** Answers with an error of the catalog: JSON, the call id, and `Retry-After` where it helps. */
export function sendError(response: ServerResponse, error: EbbError, callId: string): void {
  const body = JSON.stringify(errorBody(error, callId));
  response.writeHead(error.status, headersOf(error, callId, body));
  response.end(body);
}

/** The same on a bare connection, for requests that never became a response object; closes it. */
export function sendErrorOnSocket(socket: Duplex, error: EbbError, callId: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(errorBody(error, callId));
  const headers = headersOf(error, callId, body);
  if (error.code !== 'BAD_REQUEST') headers.push('Connection', 'close');
  let head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Error'}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.end(`${head}\r\n${body}`);
}

function headersOf(error: EbbError, callId: string, body: string): string[] {
  const headers = [
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'X-Call-Id',
    callId,
    'X-Ebb-Error',
    error.component,
  ];
  // Where the framing is in doubt, so is where the next request begins.
  if (error.code === 'BAD_REQUEST') headers.push('Connection', 'close');
  if (error.code === 'UNAUTHENTICATED') headers.push('WWW-Authenticate', 'Bearer realm="ebb"');
  if (error.retryAfterSeconds !== undefined) headers.push('Retry-After', String(error.retryAfterSeconds));
  return headers;
}
