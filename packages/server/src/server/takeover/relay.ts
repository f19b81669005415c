import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, createServer, type Server, Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { passRequest } from '../../gateway/pass-request.ts';

/** Longest line that says whose connection follows; an IPv6 address with a zone is shorter. */
const MAX_PREFACE_BYTES = 256;

/** A connection to the successor that says first whom it is for. */
function dial(path: string, remoteAddress: string | undefined): Socket {
  const peer = connect({ path, allowHalfOpen: true });
  peer.write(`${remoteAddress ?? ''}\n`);
  return peer;
}

/** Has the successor serve a connection, from the next byte on. */
export function relayConnection(socket: Socket, path: string): void {
  join(socket, dial(path, socket.remoteAddress));
}

/**
 * Has the successor answer one request; the connection it came on is closed after it. `body` stands for the request's own
 * where that was read already; its length is the same.
 */
export function relayRequest(path: string, request: IncomingMessage, response: ServerResponse, body?: Readable): void {
  passRequest(request, response, {
    // Without an agent, which would open connections of its own.
    to: { createConnection: () => dial(path, request.socket.remoteAddress) },
    requestHeaders: ['Connection', 'close'],
    answerHeaders: ['Connection', 'close'],
    body,
    unreachable: 'the server that has taken over cannot be reached just now',
  });
}

/** Has the successor take a WebSocket whose handshake was read here. */
export function relayUpgrade(path: string, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const peer = dial(path, request.socket.remoteAddress);
  let text = `${request.method} ${request.url} HTTP/1.1\r\n`;
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    text += `${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}\r\n`;
  }
  peer.write(`${text}\r\n`, 'latin1');
  if (head.length > 0) peer.write(head);
  join(socket, peer);
}

/**
 * Listens for what a predecessor passes on; `take` gets each connection, paused, as if its caller had opened it here.
 * Only the server's own user reaches the directory of the socket.
 */
export async function openRelay(path: string, take: (socket: Socket) => void): Promise<AsyncDisposable> {
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => open.delete(socket));
    readPreface(socket, (remoteAddress) => {
      Object.defineProperty(socket, 'remoteAddress', { value: remoteAddress });
      take(socket);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

function readPreface(socket: Socket, then: (remoteAddress: string) => void): void {
  let head: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(0x0a);
    if (end === -1) {
      if (head.length > MAX_PREFACE_BYTES) socket.destroy();
      return;
    }
    socket.off('data', onData);
    socket.pause();
    if (end + 1 < head.length) socket.unshift(head.subarray(end + 1));
    then(head.toString('latin1', 0, end));
  };
  socket.on('data', onData);
}

/** Pipes two connections into each other; when one closes, so does the other. */
function join(one: Duplex, other: Duplex): void {
  one.on('error', () => one.destroy());
  other.on('error', () => other.destroy());
  one.pipe(other);
  other.pipe(one);
  one.once('close', () => finish(other));
  other.once('close', () => finish(one));
}

/** Closes a connection once what was written to it has left. */
function finish(connection: Duplex): void {
  if (connection instanceof Socket) connection.destroySoon();
  else connection.destroy();
}
