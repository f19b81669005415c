import { spawn } from 'node:child_process';
import { connect, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { EbbError } from '../../core/errors.ts';
import { listeningFd } from './listening-fd.ts';

/** Passing a socket takes a tenth of a second; after this long it has failed. */
const PASS_MS = 10_000;
const CHANNEL = { NODE_CHANNEL_FD: '3' };

/** Gives the other end of a connection the socket that `server` listens on; both listen on the same one from then on. */
export async function sendPort(connection: Socket, server: Server): Promise<void> {
  const child = spawn(process.execPath, [program(), 'send'], {
    stdio: ['ignore', 'inherit', 'inherit', connection, listeningFd(server)],
    env: CHANNEL,
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('error', reject);
  child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`the port could not be sent (${code})`))));
  await promise;
}

/**
 * Takes the socket that the server at a unix socket listens on, and calls `take` with it: in the same turn, because
 * connections come from then on. Throws TAKEOVER_FAILED.
 */
export async function receivePort(path: string, take: (server: Server) => void): Promise<void> {
  const connection = connect(path);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (why: string, cause?: unknown) =>
    reject(new EbbError('TAKEOVER_FAILED', `the running server did not hand over its port: ${why}`, { cause }));
  const timer = setTimeout(() => fail('it did not come in time'), PASS_MS);
  connection.once('error', (error) => fail(error.message, error));
  connection.once('connect', () => {
    // Read by the processes that carry it, not here.
    connection.pause();
    const child = spawn(process.execPath, [program(), 'turn'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', connection],
      env: {},
    });
    child.once('error', (error) => fail(error.message, error));
    child.once('disconnect', () => fail('those who carried it ended'));
    child.once('message', (_message, server) => {
      take(server as Server);
      resolve();
    });
    void promise.finally(() => child.connected && child.disconnect()).catch(() => {});
  });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    connection.destroy();
  }
}

/** The program beside this file, as source or as emitted JavaScript. */
function program(): string {
  const name = import.meta.url.endsWith('.ts') ? './pass-port.ts' : './pass-port.js';
  return fileURLToPath(new URL(name, import.meta.url));
}
