import { get } from 'node:http';
import { connect, type Socket } from 'node:net';

/** A connection that was upgraded and stays open. */
export interface OpenSocket extends Disposable {
  /** Sends a line and resolves with the one that comes back; rejects when the connection is gone. */
  ask(line: string): Promise<string>;
  /** The first line the function said. */
  readonly greeting: string;
  /** Resolves when the connection is closed by the other side. */
  readonly closed: Promise<void>;
}

/** Opens a WebSocket's connection to a function that speaks lines instead of frames. */
export async function openSocket(url: string): Promise<OpenSocket> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  const lines = createLines(socket);
  socket.write(
    `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  const status = await lines.next();
  if (!status.startsWith('HTTP/1.1 101')) throw new Error(`the connection was not upgraded: ${status}`);
  while ((await lines.next()).trim() !== '');
  const greeting = await lines.next();
  return {
    greeting,
    closed: lines.closed,
    ask(line) {
      socket.write(`${line}\n`);
      return lines.next();
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

function createLines(socket: Socket) {
  const ready: string[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  let wake: (() => void) | undefined;
  let rest = '';
  let isClosed = false;
  socket.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    ready.push(...parts);
    wake?.();
  });
  socket.on('error', () => {});
  socket.once('close', () => {
    isClosed = true;
    resolve();
    wake?.();
  });
  return {
    closed,
    async next(): Promise<string> {
      while (ready.length === 0) {
        if (isClosed) throw new Error('the connection was closed');
        await new Promise<void>((then) => (wake = then));
      }
      return ready.shift() ?? '';
    },
  };
}

/** Sends a GET on a connection of its own; rejects when the answer is cut. */
export function getOnce(url: string): Promise<{ readonly status: number; readonly body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  get(url, { agent: false }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (text: string) => (body += text));
    response.once('error', reject);
    response.once('close', () => {
      if (response.complete) resolve({ status: response.statusCode ?? 0, body });
      else reject(new Error('the answer was cut'));
    });
  }).once('error', reject);
  return promise;
}
