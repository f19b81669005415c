import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createPort, type Server as PortServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import { ExpressLane, type ExpressLaneOptions } from '../gateway/express-lane.ts';
import { KEEP_ALIVE_SECONDS } from '../gateway/plain-caller.ts';
import { sendErrorOnSocket } from '../gateway/send-error.ts';

/** What the front door of the server is made with. */
export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  readonly maxHeaderBytes: number;
  /** Serves a plain request of the express lane, or returns false to have it come to `onRequest`. */
  readonly onPlainRequest: ExpressLaneOptions['serve'];
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

/** A front door without a port of its own: connections are brought to it. */
export interface FrontDoor {
  /** The server behind the door, for the one who has it listen. */
  readonly server: Server;
  /** Takes a connection. */
  take(socket: Socket): void;
  /** Closes idle connections, and after `limitMs` all that are left. Resolves when none is. */
  close(limitMs: number): Promise<void>;
}

/** Makes a front door. Each connection begins in the express lane and comes to Node's own handling when it needs it. */
export function createFrontDoor(options: Omit<ListenerOptions, 'host' | 'port' | 'maxConnections'>): FrontDoor {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_SECONDS * 1000,
      headersTimeout: options.headersTimeoutMs,
      // A body may take as long as the function's own timeout allows.
      requestTimeout: 0,
      maxHeaderSize: options.maxHeaderBytes,
      // Anything but a WebSocket is an ordinary request whose `Upgrade` is not passed on.
      shouldUpgradeCallback: (request: IncomingMessage) =>
        request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    options.onRequest,
  );
  server.maxHeadersCount = 0;
  // The server forgets connections it has handed over: their errors and their end are this module's from then on.
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => upgraded.delete(socket));
    options.onUpgrade(request, socket, head);
  });
  server.on('clientError', answerClientError);
  const lane = new ExpressLane({ serve: options.onPlainRequest, maxBytes: options.maxHeaderBytes });
  const handOver = server.listeners('connection');
  server.removeAllListeners('connection');
  const brought = new Set<Socket>();
  const enter = (socket: Socket) =>
    lane.take(socket, () => {
      for (const listener of handOver) listener.call(server, socket);
    });
  server.on('connection', enter);
  return {
    server,
    take: (socket) => {
      // A server that does not listen looks after no slow headers until it believes it does.
      if (brought.size === 0 && !server.listening) server.emit('listening');
      brought.add(socket);
      socket.once('close', () => brought.delete(socket));
      enter(socket);
    },
    close: async (limitMs) => {
      const closed = Promise.all([
        new Promise<void>((resolve) => server.close(() => resolve())),
        ...Array.from(brought, (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))),
      ]);
      lane.close();
      server.closeIdleConnections();
      const timer = setTimeout(() => {
        lane.closeAll();
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
        for (const socket of brought) socket.destroy();
      }, limitMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Opens the port that gateway and control API share. Throws LISTEN_FAILED. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const door = createFrontDoor(options);
  door.server.maxConnections = options.maxConnections;
  await listen(door.server, options);
  return { port: (door.server.address() as AddressInfo).port, close: (limitMs) => door.close(limitMs) };
}

/** Opens the port for others: `hand` is given each connection, unread. Throws LISTEN_FAILED. */
export async function openSharedPort(
  options: Pick<ListenerOptions, 'host' | 'port'> & { readonly hand: (socket: Socket) => void },
): Promise<Listener> {
  const server = createPort({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (socket) => {
    // It may break while nobody has it yet.
    socket.on('error', () => socket.destroy());
    options.hand(socket);
  });
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      // Its end comes once every process has closed the connections it was handed, which is not waited for here.
      server.close();
      return Promise.resolve();
    },
  };
}

async function listen(server: PortServer, { host, port }: Pick<ListenerOptions, 'host' | 'port'>): Promise<void> {
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
  // Already told; what else comes meanwhile changes nothing.
  if (socket.writableEnded && !socket.destroyed) return;
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) {
    socket.destroy();
    return;
  }
  sendErrorOnSocket(socket, refusalOf(error.code), newCallId());
}

function refusalOf(code: string | undefined): EbbError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new EbbError('HEADERS_TOO_LARGE', 'the headers of the request are larger than EBB_MAX_HEADER allows');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new EbbError('REQUEST_TIMEOUT', 'the headers of the request did not come within EBB_HEADERS_TIMEOUT');
  const reason = code?.startsWith('HPE_') === true ? ` (${code})` : '';
  return new EbbError('BAD_REQUEST', `the request is not well-formed HTTP${reason}`);
}

/** Whether a response has begun on a connection: an error in the middle of it would be taken for a part of it. */
function isAnswering(socket: Duplex & { readonly _httpMessage?: ServerResponse | null }): boolean {
  // Node has no public way to ask; its own default for these errors looks at the same property.
  return socket._httpMessage?.headersSent === true;
}
