import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

/** What a {@link startDockerProxy} does to one request; `status` replaces the true answer after the daemon gave it. */
export type Lie = (call: { readonly method: string; readonly path: string }) => { readonly status: number } | undefined;

/** A socket that passes everything on to a daemon, and lies about it where told. */
export interface DockerProxy extends AsyncDisposable {
  readonly socketPath: string;
  /** Replaces what is lied about; without one all answers are true. */
  lie(lie?: Lie): void;
}

/** Starts a proxy to the daemon behind `socketPath`, with a socket in `directory`. */
export async function startDockerProxy(socketPath: string, directory: string): Promise<DockerProxy> {
  const own = join(directory, 'lying.sock');
  let current: Lie = () => undefined;
  const server = createServer((incoming, outgoing) => pass(socketPath, incoming, outgoing, current));
  await new Promise<void>((resolve) => server.listen(own, resolve));
  return {
    socketPath: own,
    lie(lie = () => undefined) {
      current = lie;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(own, { force: true });
    },
  };
}

function pass(socketPath: string, incoming: IncomingMessage, outgoing: ServerResponse, lie: Lie): void {
  const { method = 'GET', url = '/', headers } = incoming;
  const forwarded = request({ socketPath, method, path: url, headers }, (answer) => {
    const told = lie({ method, path: url.split('?')[0] ?? '' });
    if (told) {
      answer.resume().on('end', () => {
        outgoing.writeHead(told.status, { 'content-type': 'application/json' });
        outgoing.end(JSON.stringify({ message: 'something went wrong' }));
      });
      return;
    }
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    outgoing.flushHeaders();
    answer.pipe(outgoing);
  });
  forwarded.on('error', () => outgoing.destroy());
  outgoing.on('close', () => forwarded.destroy());
  incoming.pipe(forwarded);
}
