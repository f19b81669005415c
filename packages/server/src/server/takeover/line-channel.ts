import type { Socket } from 'node:net';

/** Messages both ways over a connection, one JSON text a line. */
export interface LineChannel<In, Out> {
  send(message: Out): void;
  /** Calls `listener` with each message, in order. */
  onMessage(listener: (message: In) => void): void;
  /** Resolves when the connection is gone, however that came. */
  readonly closed: Promise<void>;
  close(): void;
}

/** Speaks over a connection to another server of the same installation, which is trusted to send what it should. */
export function createLineChannel<In, Out>(socket: Socket): LineChannel<In, Out> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let listener: ((message: In) => void) | undefined;
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.once('close', () => resolve());
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) listener?.(JSON.parse(line) as In);
  });
  return {
    send(message) {
      if (!socket.destroyed) socket.write(`${JSON.stringify(message)}\n`);
    },
    onMessage(next) {
      listener = next;
    },
    closed: promise,
    // One that waits for the other side to end as well would wait for a process that is stopped.
    close: () => socket.destroySoon(),
  };
}
