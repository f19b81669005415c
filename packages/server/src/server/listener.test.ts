import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createPort } from 'node:net';
import { describe, expect, test } from 'vitest';
import { openWire, talk } from '../../../../testing/harness/talk.ts';
import { eventually } from '../../../../testing/harness/gateway.ts';
import { createFrontDoor, openListener } from './listener.ts';

async function open(onRequest: (request: IncomingMessage, response: ServerResponse) => void = () => {}) {
  const listener = await openListener({
    host: '127.0.0.1',
    port: 0,
    maxConnections: 100,
    headersTimeoutMs: 1_000,
    maxHeaderBytes: 4_096,
    onRequest,
    onPlainRequest: () => false,
    onUpgrade: () => {},
  });
  return { port: listener.port, [Symbol.asyncDispose]: () => listener.close(0) };
}

describe('malformed requests', () => {
  test.each([
    ['garbage', 'garbage\r\n\r\n', 400, 'BAD_REQUEST'],
    ['large headers', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(5_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
  ])('%s get an error of the catalog with a call id', async (_what, bytes, status, code) => {
    await using server = await open();
    const answer = await talk(server.port, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as { code: string; callId: string };
    expect(body.code).toBe(code);
    expect(answer).toContain(`X-Call-Id: ${body.callId}\r\n`);
  });

  test('the connection is closed even if the other side keeps it half open', async () => {
    await using server = await open();
    const { socket, text } = openWire(server.port, 'garbage\r\n\r\n', { allowHalfOpen: true });
    let isReset = false;
    socket.on('error', () => (isReset = true));
    await eventually(() => text().includes('400'));
    const probing = setInterval(() => socket.write('x'), 20);
    await eventually(() => isReset);
    clearInterval(probing);
    socket.destroy();
  });

  test('an error in the middle of an answer cuts it and adds nothing to it (case 23)', async () => {
    await using server = await open((request, response) => {
      request.resume();
      response.write('begun');
    });
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
    const { socket, text, isClosed } = openWire(server.port, head);
    await eventually(() => text().includes('begun'));
    socket.write('zz\r\n');
    await eventually(isClosed);
    expect(text()).toMatch(/begun\r\n$/);
  });
});

describe('a door without a port', () => {
  /** A door whose connections another server accepts, which keeps them paused as those for other processes are. */
  async function openDoor() {
    const door = createFrontDoor({
      headersTimeoutMs: 200,
      maxHeaderBytes: 4_096,
      onPlainRequest: (caller, request) => {
        if (request.target !== '/plain') return false;
        caller.begins(request);
        caller.answer(200, 'OK', ['Content-Length', '5'], 'plain');
        return true;
      },
      onRequest: (_request, response) => response.end('node'),
      onUpgrade: () => {},
    });
    const port = createPort({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => door.accept(socket));
    await once(port.listen(0, '127.0.0.1'), 'listening');
    return { door, port: (port.address() as AddressInfo).port, [Symbol.dispose]: () => void port.close() };
  }
  const ask = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

  test('serves, counts and closes the connections it is brought', async () => {
    using open = await openDoor();
    const idle = openWire(open.port, ask('/plain'));
    const other = openWire(open.port, ask('/plain'));
    await eventually(() => idle.text().endsWith('plain') && other.text().endsWith('plain'));
    other.socket.write(ask('/other'));
    await eventually(() => other.text().includes('node'));
    expect(await open.door.connections()).toBe(2);
    other.socket.destroy();
    await eventually(async () => (await open.door.connections()) === 1);
    await open.door.close(1_000);
    await eventually(idle.isClosed);
    expect(await open.door.connections()).toBe(0);
  });

  test('cuts what is left of them in the end, in either lane', async () => {
    using open = await openDoor();
    const wires = [
      openWire(open.port, ''),
      openWire(open.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n'),
    ];
    await eventually(() => wires[1]?.text().includes('node') === true);
    await open.door.close(10);
    await eventually(() => wires.every((wire) => wire.isClosed()));
  });
});
