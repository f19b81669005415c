import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { listeningFd } from './listening-fd.ts';

/**
 * The program that carries a listening socket from one server to another that is no child of it. Node passes a socket
 * only between a process and its child, so three short-lived processes do it, by the role in their first argument:
 *
 * - `send`: has the listening socket as file 4 and sends it over file 3.
 * - `turn`: child of the successor, with the other server's connection as file 4. Starts `receive` with both the other
 *   way round, because a process speaks with whoever is at its file 3.
 * - `receive`: takes the socket that comes from the other server, and has a `send` pass it on to the successor.
 */
const CHANNEL = { NODE_CHANNEL_FD: '3' };

const [, program = '', role] = process.argv;
if (role === 'send') {
  const server = createServer().listen({ fd: 4 });
  process.send?.({ kind: 'port' }, server, {}, (error) => process.exit(error ? 1 : 0));
  // Within the same turn of the event loop: a connection accepted here would be lost.
  server.close();
} else if (role === 'turn') {
  again('receive', 4, 3);
  // What answers on the channel is for those who come after.
  process.disconnect?.();
} else {
  process.once('message', (_message, handle) => {
    const server = handle as Server;
    again('send', 4, listeningFd(server));
    // As above.
    server.close();
    process.disconnect?.();
  });
}

function again(next: 'send' | 'receive', channel: number, other: number): void {
  const stdio = ['ignore', 'inherit', 'inherit', channel, other] as const;
  // Whatever the server's environment holds is not for this.
  spawn(process.execPath, [program, next], { stdio: [...stdio], env: CHANNEL }).once('exit', (code) => {
    process.exit(code ?? 1);
  });
}
