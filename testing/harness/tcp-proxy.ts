import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a server on the loopback interface, and loses what passes when told to. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Whether what comes is lost now. */
  readonly isDropping: boolean;
  /** From now on nothing passes either way, and nobody is told: connections stay open, as with a broken network. */
  drop(): void;
  /** Lets pass what comes from now on; what was dropped is gone, and connections that lost something are reset. */
  heal(): void;
  /** Drops everything from the moment on at which the `count`-th message with this beginning has left for the server. */
  dropAfter(beginning: string, count: number): void;
}

/** Makes a proxy to a port of the loopback interface. */
export async function createTcpProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const cut = new Set<Socket>();
  let isDropping = false;
  let watched: { beginning: string; left: number } | undefined;

  /** Where the last message that may pass ends in a chunk that begins with a message. */
  const watch = (chunk: Buffer): Buffer => {
    if (!watched) return chunk;
    for (let at = chunk.indexOf(watched.beginning); at !== -1; at = chunk.indexOf(watched.beginning, at + 1)) {
      if (watched.left === 0) {
        isDropping = true;
        return chunk.subarray(0, at);
      }
      watched.left -= 1;
    }
    if (watched.left === 0) isDropping = true;
    return chunk;
  };

  const join = (from: Socket, to: Socket, filter: (chunk: Buffer) => Buffer) => {
    from.on('data', (chunk: Buffer) => {
      if (isDropping) {
        cut.add(from).add(to);
        return;
      }
      const passes = filter(chunk);
      if (passes.length < chunk.length) cut.add(from).add(to);
      if (!to.write(passes)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      if (!isDropping) to.destroy();
    });
    sockets.add(from);
  };

  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: target });
    join(client, upstream, watch);
    join(upstream, client, (chunk) => chunk);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    get isDropping() {
      return isDropping;
    },
    drop() {
      isDropping = true;
    },
    heal() {
      isDropping = false;
      watched = undefined;
      for (const socket of cut) socket.destroy();
      cut.clear();
    },
    dropAfter(beginning, count) {
      if (count === 0) isDropping = true;
      watched = { beginning, left: count };
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
