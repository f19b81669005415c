import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../../../testing/harness/gateway.ts';
import type { AnswerHandler, InstanceRequest } from './instance-connection.ts';
import { InstanceConnections } from './instance-connections.ts';

const REQUEST = { method: 'GET', head: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', body: undefined, isChunked: false };
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A program on a unix socket that does as it likes with its connections. */
async function serve(onData: (socket: Socket, nth: number) => void) {
  const directory = await mkdtemp('/tmp/ebb-t-');
  const path = join(directory, 's');
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    const nth = sockets.push(socket);
    socket.on('data', () => onData(socket, nth));
    socket.on('error', () => {});
  });
  server.listen(path);
  await once(server, 'listening');
  const connections = new InstanceConnections({ kind: 'unix', path }, true);
  onTestFinished(async () => {
    connections.closeAll();
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  });
  return { connections, sockets, server };
}

/** Sends a request; resolves with what came of it. */
function ask(connections: InstanceConnections, asked: InstanceRequest = REQUEST) {
  return new Promise<string>((resolve) => {
    let text = '';
    const handler: AnswerHandler = {
      onHead: ({ status }, whole) => {
        text = `${status} `;
        if (whole !== undefined) resolve(text + whole);
      },
      onData: (chunk) => (text += chunk.toString()),
      onEnd: () => resolve(text),
      onFailure: (error, reach) => resolve(`${error.code ?? error.message} ${reach}`),
    };
    connections.send(asked, handler);
  });
}

describe('connections to an instance', () => {
  test('are used again, the last one first', async () => {
    const { connections, sockets } = await serve((socket) => socket.write(OK));
    for (let i = 0; i < 3; i += 1) expect(await ask(connections)).toBe('200 ok');
    expect(sockets).toHaveLength(1);
    await Promise.all([ask(connections), ask(connections)]);
    expect(sockets).toHaveLength(2);
  });

  test.each([
    ['the instance closes it', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok', '200 ok'],
    ['it would not last', 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok', '200 ok'],
    ['there is more than was said', `${OK}more`, '200 ok'],
  ])('one is not used again when %s', async (_what, answer, expected) => {
    const { connections, sockets } = await serve((socket) => socket.write(answer));
    expect(await ask(connections)).toBe(expected);
    expect(await ask(connections)).toBe(expected);
    expect(sockets).toHaveLength(2);
  });

  test('one that spoke while it was free is not used again', async () => {
    const { connections, sockets } = await serve((socket) => socket.write(OK));
    await ask(connections);
    sockets[0]?.write(OK);
    await eventually(() => sockets[0]?.destroyed === true);
    expect(await ask(connections)).toBe('200 ok');
    expect(sockets).toHaveLength(2);
  });

  test('G3: a request on a connection that went stale unseen was not sent, one that was read was', async () => {
    const { connections, sockets } = await serve((socket, nth) => {
      if (nth === 1) socket.write(OK);
      else socket.destroy();
    });
    await ask(connections);
    sockets[0]?.destroy();
    await once(sockets[0] as Socket, 'close');
    // In the same turn, so this side cannot have heard of it.
    const stale = ask(connections);
    expect(await stale).toBe('EPIPE stale');
    expect(await ask(connections)).toMatch(/ instance$/);
  });

  test('G3: a request to nobody was not sent', async () => {
    const { connections, server } = await serve(() => {});
    server.close();
    await once(server, 'close');
    expect(await ask(connections)).toMatch(/^E\w+ nothing$/);
  });

  test('an answer that ends with its connection is complete then', async () => {
    const { connections } = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it'));
    expect(await ask(connections)).toBe('200 all of it');
  });

  test('an answer that comes byte by byte is the same', async () => {
    const text =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n';
    const { connections } = await serve((socket) => {
      void (async () => {
        for (const char of text) {
          socket.write(char);
          await new Promise(setImmediate);
        }
      })();
    });
    expect(await ask(connections)).toBe('200 ok');
  });
});

describe('a request body', () => {
  /** A request whose body is still coming, as a server gets it, and its caller. */
  async function incoming() {
    const server = createHttpServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const caller = request({ port: (server.address() as AddressInfo).port, method: 'POST' });
    caller.on('error', () => {});
    caller.write('a');
    const [body] = (await once(server, 'request')) as [IncomingMessage];
    onTestFinished(() => {
      caller.destroy();
      server.closeAllConnections();
      server.close();
    });
    return { caller, body };
  }
  const upload = (body: IncomingMessage) => ({
    method: 'POST',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
    body,
    isChunked: true,
  });

  test('that is answered early and cut does not hide the answer, however late this side looks', async () => {
    let isAsked = false;
    const { connections, sockets } = await serve(() => (isAsked = true));
    const { caller, body } = await incoming();
    const result = ask(connections, upload(body));
    await eventually(() => isAsked);
    // All in one turn: more of the body is there to be read before the answer and the end of the connection are.
    caller.write(Buffer.alloc(100_000));
    sockets[0]?.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig');
    sockets[0]?.destroy();
    expect(await result).toBe('413 big');
  });

  test('that was not taken whole leaves no connection to be used again', async () => {
    const { connections, sockets } = await serve((socket) => socket.pause().write(OK));
    const { caller, body } = await incoming();
    const result = ask(connections, upload(body));
    caller.end(Buffer.alloc(4_000_000));
    expect(await result).toBe('200 ok');
    expect(await ask(connections)).toBe('200 ok');
    expect(sockets).toHaveLength(2);
  });
});
