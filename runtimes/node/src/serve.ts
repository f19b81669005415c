import type { AsyncLocalStorage } from 'node:async_hooks';
import { chmodSync, renameSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { flushCompileCache } from 'node:module';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { Handler } from './load-handler.ts';

// An import would read every export of the module, and with it load fetch: 25 ms that most functions never need.
const { createServer } = process.getBuiltinModule('node:http');

/** What is served. */
export interface ServeOptions {
  /** Path the socket gets once it accepts connections, or with the handler if `isNamed` is false. */
  readonly socket: string;
  /** False when the socket gets its path only with {@link Served.use}; until then it is beside it as `sock.new`. */
  readonly isNamed?: boolean;
  readonly handler: Handler;
  /** False when the handler only stands in until {@link Served.use}; `/_/ready` then waits for that. */
  readonly isReady?: boolean;
  /** Holds the request that the running code belongs to. */
  readonly calls: AsyncLocalStorage<IncomingMessage>;
}

/** A server that answers. */
export interface Served {
  /** Has another handler answer from now on; the server is ready then. */
  use(handler: Handler): void;
  /** Until {@link use}, requests to come do not keep the process alive: it ends when the handler has nothing to wait for. */
  letGo(): void;
}

/** How often connections that became idle are closed while the runtime drains. */
const DRAIN_TICK_MS = 10;
/** How long the connection of a call whose body was not read to its end stays open after the answer. */
const UNREAD_LINGER_MS = 500;
const FLUSH_AFTER_MS = 300;

/**
 * Answers requests on the socket until SIGTERM; then finishes what runs and ends the process with code 0. The gateway
 * in front is the only client and keeps the deadlines, so the server has none of its own.
 */
export async function serve({ socket, handler, calls, isReady = true, isNamed = true }: ServeOptions): Promise<Served> {
  let { answer } = handler;
  let isDraining = false;
  // Those who asked whether the server is ready before it was; undefined once it is.
  let asking: (() => void)[] | undefined = isReady ? undefined : [];
  const server = createServer(
    {
      keepAliveTimeout: 0,
      headersTimeout: 0,
      requestTimeout: 0,
      maxHeaderSize: 65_536,
      connectionsCheckingInterval: 2 ** 30,
    },
    (request, response) => {
      if (request.url?.startsWith('/_/')) {
        const reply = () => answerPlatform(request, response, isDraining);
        if (asking && isReadyQuestion(request)) {
          asking.push(reply);
          return;
        }
        if (reply()) return;
      }
      // Headers of this hop and the date: the gateway drops the ones and sets the other, so they would be read in vain.
      response.sendDate = false;
      if (!isDraining) response.removeHeader('connection');
      const { socket: connection } = request;
      response.once('close', () => request.complete || dropRest(request, connection));
      calls.run(request, answer, request, response);
    },
  );
  const takeUpgrades = ({ upgrade }: Handler) => {
    if (!upgrade) return;
    server.on('upgrade', (request, connection, head) => {
      // The pair of a broken connection is the gateway's matter, not a crash of the function.
      connection.on('error', () => connection.destroy());
      calls.run(request, upgrade, request, connection, head);
    });
  };
  takeUpgrades(handler);
  const letGoOf = (connection: Socket) => connection.unref();
  process.once('SIGTERM', () => {
    isDraining = true;
    server.close(() => process.exit(0));
    setInterval(() => server.closeIdleConnections(), DRAIN_TICK_MS);
  });
  // Whoever finds the socket under its name finds it ready and may connect, whatever user it is.
  const pending = join(dirname(socket), 'sock.new');
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path: pending, backlog: 4096 }, resolve);
  });
  chmodSync(pending, 0o666);
  if (isNamed) renameSync(pending, socket);
  // Node writes its cache of compiled code (NODE_COMPILE_CACHE) only at a clean exit, which an instance may never have.
  setTimeout(() => flushCompileCache(), FLUSH_AFTER_MS).unref();
  return {
    letGo() {
      server.on('connection', letGoOf);
      server.unref();
    },
    use(next) {
      server.off('connection', letGoOf);
      server.ref();
      ({ answer } = next);
      takeUpgrades(next);
      if (!isNamed) renameSync(pending, socket);
      const waiting = asking ?? [];
      asking = undefined;
      for (const reply of waiting) reply();
      setTimeout(() => flushCompileCache(), FLUSH_AFTER_MS).unref();
    },
  };
}

function isReadyQuestion(request: IncomingMessage): boolean {
  return request.url?.split('?', 1)[0] === '/_/ready';
}

/**
 * Reads what is still to come of a call that was answered before its body was read: for the gateway the connection may
 * be free once it has sent the body, and the next call on it stands behind that. It is closed when nothing comes any
 * more; not at once, because the other side may still be sending and shall see the answer first.
 */
function dropRest(request: IncomingMessage, socket: Socket): void {
  let { bytesRead } = socket;
  request.resume();
  const look = () => {
    const isOver = request.complete || socket.bytesRead === bytesRead;
    bytesRead = socket.bytesRead;
    if (!isOver) return;
    clearInterval(timer);
    if (!request.complete) socket.destroy();
  };
  // After what has come was read, also where the handler kept the thread to itself for longer.
  const timer = setInterval(() => setImmediate(look), UNREAD_LINGER_MS).unref();
}

function answerPlatform(request: IncomingMessage, response: ServerResponse, isDraining: boolean): boolean {
  const path = request.url?.split('?', 1)[0];
  if (path !== '/_/health' && path !== '/_/ready') return false;
  const isReady = path === '/_/health' || !isDraining;
  response.writeHead(isReady ? 200 : 503, { 'content-type': 'text/plain' });
  response.end(isReady ? 'ok' : 'draining');
  return true;
}
