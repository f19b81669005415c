import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import { EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import { sendError } from '../gateway/send-error.ts';

/** Tells the first process whom a gateway asks for; what callers send under the name is dropped. */
const PEER_HEADER = 'x-ebb-peer';
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'upgrade', 'expect', PEER_HEADER]);

/**
 * Has the first process answer a request, over its private socket: bodies stream both ways, and who leaves on one
 * side is gone on the other.
 */
export function proxyControl(socketPath: string, request: IncomingMessage, response: ServerResponse): void {
  // One request a connection, but this side closes it: an answer that comes before the request's last write is not lost.
  const upstream = httpRequest({
    socketPath,
    agent: false,
    setHost: false,
    method: request.method,
    path: request.url,
    headers: [
      ...passed(request.rawHeaders),
      PEER_HEADER,
      request.socket.remoteAddress ?? '',
      'Connection',
      'keep-alive',
    ],
  });
  upstream.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, passed(answer.rawHeaders));
    // Followed logs have a head long before their first line.
    response.flushHeaders();
    answer.pipe(response);
    answer.once('close', () => {
      if (!answer.complete) response.destroy();
    });
  });
  upstream.on('error', () => {
    if (response.headersSent) return;
    const error = new EbbError('DRAINING', 'the control API cannot be reached just now', { retryAfterSeconds: 1 });
    sendError(response, error, newCallId());
  });
  upstream.once('close', () => {
    // What was not wanted of a body is read, so that the caller comes to read its answer.
    request.unpipe(upstream);
    request.resume();
  });
  response.once('close', () => upstream.destroy());
  request.pipe(upstream);
}

function passed(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push(name, raw[i + 1] as string);
  }
  return headers;
}

/** Where the first process answers what gateways pass on. Only its own user reaches the directory of the socket. */
export async function openControlSocket(
  path: string,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<AsyncDisposable> {
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    const peer = request.headers[PEER_HEADER];
    // One request a connection, so the connection may say whose it is: guesses are counted by address.
    Object.defineProperty(request.socket, 'remoteAddress', { value: typeof peer === 'string' ? peer : '' });
    delete request.headers[PEER_HEADER];
    handle(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
