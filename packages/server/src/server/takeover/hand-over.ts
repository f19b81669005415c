import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { asEbbError, EbbError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { createLineChannel, type LineChannel } from './line-channel.ts';
import { type FromPredecessor, type FromSuccessor, portSocketName, takeoverSocketName } from './messages.ts';
import { sendPort } from './port-transfer.ts';

/** What a server does when another takes over; each is called once, in this order. */
export interface HandOverSteps {
  /**
   * Lets changes under way end, takes no more, and closes the store. Throws TAKEOVER_FAILED where they do not end, or the
   * reason of the signal, which aborts when the successor is gone.
   */
  lend(signal: AbortSignal): Promise<void>;
  /** Passes calls on to `relay` from now on, and gives up the instances that hold none. */
  give(relay: string): Promise<void>;
  /** Accepts no connection any more. */
  leave(): void;
  /** Instead of what is left of the steps: the successor is gone before it served. */
  resume(): Promise<void>;
}

/** What {@link openHandOver} is made with. */
export interface HandOverOptions {
  /** Directory of the installation's sockets; only the server's user reaches it. */
  readonly runDir: string;
  /** The server whose port is handed over. */
  readonly port: Server;
  readonly listen: { readonly host: string; readonly port: number };
  readonly localToken: string;
  /** Runs of the server that may still have asynchronous calls. */
  readonly owners: () => readonly string[];
  readonly steps: HandOverSteps;
  /** Instances that this server still has, or the one before it; undefined when that one does not say. */
  readonly held: () => Promise<readonly string[] | undefined>;
  /** Ends the attempt of an asynchronous call; false when none of it runs here, or in the server before this one. */
  readonly abort: (id: string, message: string) => Promise<boolean>;
  readonly logger: Logger;
}

/** A server's readiness to be replaced. */
export interface HandOver extends AsyncDisposable {
  /** Resolves with the successor's process id when it serves in this one's place. */
  readonly replaced: Promise<number>;
  /** Tells the successor that instances have become free. */
  released(): void;
  /** Has the successor do something in the queue of asynchronous calls. Rejects when it cannot. */
  calls(text: string): Promise<string>;
  /** Lets no successor begin any more; resolves when one that has begun serves, or is gone. */
  close(): Promise<void>;
}

/** Waits for a server that wants to take over this one's port, store and instances, and goes through the steps with it. */
export async function openHandOver(options: HandOverOptions): Promise<HandOver> {
  const { runDir, port, logger } = options;
  const replaced = Promise.withResolvers<number>();
  let current: Successor | undefined;
  let isClosed = false;

  const control = await listenOn(join(runDir, takeoverSocketName(process.pid)), (socket) => {
    const channel = createLineChannel<FromSuccessor, FromPredecessor>(socket);
    channel.onMessage((message) => {
      if (message.kind !== 'hello') return;
      if (isClosed) {
        channel.send({ kind: 'closing' });
        return;
      }
      if (current) {
        channel.send({ kind: 'refused', message: `process ${current.pid} is taking over from it already` });
        return;
      }
      current = follow(channel, message.pid, options, replaced.resolve);
      void current.gone.then(() => (current = undefined));
    });
  });
  const ports = await listenOn(join(runDir, portSocketName(process.pid)), (socket) => {
    socket.on('error', () => socket.destroy());
    sendPort(socket, port)
      .catch((error: unknown) => logger.error({ err: error }, 'the port could not be handed over'))
      .finally(() => socket.destroy());
  });
  return {
    replaced: replaced.promise,
    released: () => current?.released(),
    calls: (text) => current?.calls(text) ?? Promise.reject(unreachable()),
    async close() {
      isClosed = true;
      await current?.over;
    },
    async [Symbol.asyncDispose]() {
      current?.close();
      await Promise.all([control[Symbol.asyncDispose](), ports[Symbol.asyncDispose]()]);
    },
  };
}

interface Successor {
  readonly pid: number;
  /** Resolves when it is gone before it served. */
  readonly gone: Promise<void>;
  /** Resolves when it serves or is gone. */
  readonly over: Promise<unknown>;
  released(): void;
  calls(text: string): Promise<string>;
  close(): void;
}

/** Goes through the steps as one successor asks for them. */
function follow(
  channel: LineChannel<FromSuccessor, FromPredecessor>,
  pid: number,
  { steps, held, abort, listen, localToken, owners, logger }: HandOverOptions,
  onReplaced: (pid: number) => void,
): Successor {
  const gone = Promise.withResolvers<void>();
  const serves = Promise.withResolvers<void>();
  let stage: 'greeted' | 'lending' | 'given' | 'replaced' = 'greeted';
  let lending: Promise<void> | undefined;
  const alone = new AbortController();
  const asked = new Map<number, PromiseWithResolvers<string>>();
  let asks = 0;

  const lend = async () => {
    stage = 'lending';
    lending = steps.lend(alone.signal);
    await lending;
    channel.send({ kind: 'lent' });
  };
  channel.onMessage((message) => {
    switch (message.kind) {
      case 'lend':
        logger.info({ successor: pid }, 'a successor takes over: the store is handed to it');
        lend().catch((error: unknown) => {
          if (alone.signal.aborted) return;
          logger.error({ err: error }, 'the store could not be handed over');
          channel.send({ kind: 'refused', message: asEbbError(error).message });
          channel.close();
        });
        return;
      case 'take':
        stage = 'given';
        void steps.give(message.relay).then(() => channel.send({ kind: 'given' }));
        return;
      case 'open':
        stage = 'replaced';
        steps.leave();
        onReplaced(pid);
        serves.resolve();
        return;
      case 'held':
        // Without an answer the successor leaves alone what it does not know.
        void held().then((ids) => ids && channel.send({ kind: 'held', ask: message.ask, ids }));
        return;
      case 'abort':
        void abort(message.id, message.message).then((isDone) =>
          channel.send({ kind: 'aborted', ask: message.ask, isDone }),
        );
        return;
      case 'calls':
        if (message.text === undefined) asked.get(message.ask)?.reject(unreachable());
        else asked.get(message.ask)?.resolve(message.text);
        asked.delete(message.ask);
        return;
      default:
    }
  });
  void channel.closed.then(async () => {
    for (const { reject } of asked.values()) reject(unreachable());
    asked.clear();
    if (stage === 'replaced') return;
    alone.abort();
    if (stage !== 'greeted') {
      logger.error({ successor: pid }, 'the successor is gone before it served; this server goes on');
      await lending?.catch(() => {});
      await steps.resume().catch((error: unknown) => {
        logger.error({ err: error }, 'this server could not go on as before');
      });
    }
    gone.resolve();
  });
  channel.send({ kind: 'welcome', pid: process.pid, ...listen, localToken, owners: owners() });
  return {
    pid,
    gone: gone.promise,
    over: Promise.race([gone.promise, serves.promise]),
    released: () => channel.send({ kind: 'released' }),
    calls(text) {
      asks += 1;
      const answer = Promise.withResolvers<string>();
      asked.set(asks, answer);
      channel.send({ kind: 'calls', ask: asks, text });
      return answer.promise;
    },
    close: () => channel.close(),
  };
}

function unreachable(): EbbError {
  return new EbbError(
    'STORE_FAILED',
    'the server that took over the queue cannot be reached, or could not write to it',
  );
}

async function listenOn(path: string, onConnection: (socket: Socket) => void): Promise<AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer({ pauseOnConnect: path.includes('port-') }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroySoon();
      await closed;
    },
  };
}
