import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createPort, Server as PortServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import { ExpressLane, type ExpressLaneOptions } from '../gateway/express-lane.ts';
import { KEEP_ALIVE_SECONDS } from '../gateway/plain-caller.ts';
import { sendErrorOnSocket } from '../gateway/send-error.ts';
import { relayConnection, relayRequest, relayUpgrade } from './takeover/relay.ts';

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
  /** Takes the port from a server that listens on it, instead of opening one. */
  readonly from?: PortSource | undefined;
  /** Keeps connections waiting until {@link Listener.begin}. Default: false. */
  readonly onHold?: boolean;
  /** Closes each connection after one answer. Default: false. */
  readonly isOneShot?: boolean;
}

/** Calls `take` with a server that listens already, in whose place another is to serve from that moment. */
export type PortSource = (take: (listening: PortServer) => void) => Promise<void>;

/** The open front door. */
export interface Listener {
  /** The port it got. */
  readonly port: number;
  /** What listens, for the one who gives it to another process. */
  readonly server: PortServer;
  /** Serves those who were kept waiting, and all others from now on. */
  begin(): void;
  /** Accepts no more; connections go on. Another process may listen on. */
  leave(): void;
  /** Has the process at a unix socket serve every request that begins from now on; undefined takes that back. */
  handOn(relay: string | undefined): void;
  /** Connections there are. */
  connections(): Promise<number>;
  /** Takes no new connections, closes idle ones, and after `limitMs` all that are left. */
  close(limitMs: number): Promise<void>;
}

/** A front door without a port of its own: connections are brought to it. */
export interface FrontDoor {
  /** The server behind the door, for the one who has it listen. */
  readonly server: Server;
  /** Takes a connection as it is: some of what came on it may have been read and put back. */
  take(socket: Socket): void;
  /** Takes a connection of which nothing was read, as the server behind the door would. */
  accept(accepted: Socket): void;
  /** See {@link Listener}. */
  begin(): void;
  handOn(relay: string | undefined): void;
  connections(): Promise<number>;
  /** Closes idle connections, and after `limitMs` all that are left. Resolves when none is. */
  close(limitMs: number): Promise<void>;
}

/** Makes a front door. Each connection begins in the express lane and comes to Node's own handling when it needs it. */
export function createFrontDoor(
  options: Omit<ListenerOptions, 'host' | 'port' | 'maxConnections' | 'from'>,
): FrontDoor {
  let relay: string | undefined;
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
    (request, response) => {
      if (relay === undefined) options.onRequest(request, response);
      else relayRequest(relay, request, response);
    },
  );
  server.maxHeadersCount = 0;
  if (options.isOneShot) server.maxRequestsPerSocket = 1;
  // The server forgets connections it has handed over: their errors and their end are this module's from then on.
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (relay !== undefined) {
      relayUpgrade(relay, request, socket, head);
      return;
    }
    upgraded.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => upgraded.delete(socket));
    options.onUpgrade(request, socket, head);
  });
  server.on('clientError', answerClientError);
  const lane = new ExpressLane({ serve: options.onPlainRequest, maxBytes: options.maxHeaderBytes });
  if (options.isOneShot) lane.closeAfterAnswers(true);
  const handOver = server.listeners('connection');
  server.removeAllListeners('connection');
  const brought = new Set<Socket>();
  let held: Socket[] | undefined = options.onHold ? [] : undefined;
  const enter = (socket: Socket) => {
    if (held) {
      // Else what it has sent by then would be read by nobody.
      socket.pause();
      held.push(socket);
      // It may break while nobody has it yet.
      socket.on('error', () => socket.destroy());
      return;
    }
    lane.take(socket, () => {
      if (relay !== undefined) relayConnection(socket, relay);
      else for (const listener of handOver) listener.call(server, socket);
    });
    socket.resume();
  };
  const take = (socket: Socket) => {
    // A server that does not listen looks after no slow headers until it believes it does.
    if (brought.size === 0 && !server.listening) server.emit('listening');
    brought.add(socket);
    socket.once('close', () => brought.delete(socket));
    enter(socket);
  };
  server.on('connection', (accepted: Socket) => enter(lane.prepare(accepted)));
  return {
    server,
    begin: () => {
      const waiting = held ?? [];
      held = undefined;
      for (const socket of waiting) if (!socket.destroyed) enter(socket);
    },
    handOn: (path) => {
      relay = path;
      lane.closeAfterAnswers(options.isOneShot === true || path !== undefined);
    },
    connections: async () => {
      const { promise, resolve } = Promise.withResolvers<number>();
      server.getConnections((error, count) => resolve(error ? 0 : count));
      return (await promise) + brought.size;
    },
    take,
    accept: (accepted) => take(lane.prepare(accepted)),
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
  return {
    ...door,
    port: (door.server.address() as AddressInfo).port,
    // As the HTTP server closes itself, it would cut idle connections.
    leave: () => void PortServer.prototype.close.call(door.server),
  };
}

/** Opens the port for others: `hand` is given each connection, unread. Throws LISTEN_FAILED. */
export async function openSharedPort(
  options: Pick<ListenerOptions, 'host' | 'port' | 'from' | 'onHold'> & { readonly hand: (socket: Socket) => void },
): Promise<Pick<Listener, 'port' | 'server' | 'begin' | 'leave' | 'close'>> {
  let held: Socket[] | undefined = options.onHold ? [] : undefined;
  const server = createPort({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (socket) => {
    // It may break while nobody has it yet.
    socket.on('error', () => socket.destroy());
    if (held) held.push(socket);
    else options.hand(socket);
  });
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    server,
    begin: () => {
      const waiting = held ?? [];
      held = undefined;
      for (const socket of waiting) if (!socket.destroyed) options.hand(socket);
    },
    leave: () => void server.close(),
    close: () => {
      // Its end comes once every process has closed the connections it was handed, which is not waited for here.
      server.close();
      return Promise.resolve();
    },
  };
}

async function listen(
  server: PortServer,
  { host, port, from }: Pick<ListenerOptions, 'host' | 'port' | 'from'>,
): Promise<void> {
  if (from) {
    await from((listening) => void server.listen(listening));
    return;
  }
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
