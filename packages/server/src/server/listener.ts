import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import { sendErrorOnSocket } from '../gateway/send-error.ts';

/** Idle connections of clients are kept this long; longer than the minute common load balancers keep theirs. */
const KEEP_ALIVE_MS = 65_000;

/** What the front door of the server is made with. */
export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  readonly maxHeaderBytes: number;
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** The open front door. */
export interface Listener {
  /** The port it got. */
  readonly port: number;
  /** Takes no new connections, closes idle ones, and after `limitMs` all that are left. */
  close(limitMs: number): Promise<void>;
}

/** Opens the port that gateway and control API share. Throws LISTEN_FAILED. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: options.headersTimeoutMs,
      // A body may take as long as the function's own timeout allows.
      requestTimeout: 0,
      maxHeaderSize: options.maxHeaderBytes,
      // Anything but a WebSocket is an ordinary request whose `Upgrade` is not passed on.
      shouldUpgradeCallback: (request: IncomingMessage) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    options.onRequest,
  );
  server.maxHeadersCount = 0;
  server.maxConnections = options.maxConnections;
  server.on('upgrade', options.onUpgrade);
  server.on('clientError', answerClientError);
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    close: async (limitMs) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), limitMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

async function listen(server: Server, { host, port }: ListenerOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    const why = error.code === 'EADDRINUSE' ? 'another program listens there' : error.message;
    reject(
      new EbbError('LISTEN_FAILED', `cannot listen on ${host}:${port}: ${why}; choose another with --listen`, {
        cause: error,
      }),
    );
  });
  server.listen(port, host, resolve);
  await promise;
}

/** Malformed requests get one sentence and a closed connection; they are never forwarded (G5). */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    socket.end('HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    socket.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  const reason = error.code?.startsWith('HPE_') === true ? ` (${error.code})` : '';
  sendErrorOnSocket(socket, new EbbError('BAD_REQUEST', `the request is not well-formed HTTP${reason}`), newCallId());
}
