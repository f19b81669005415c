import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { openWire, talk } from '../../../../testing/harness/talk.ts';
import { eventually } from '../../../../testing/harness/gateway.ts';
import { openListener } from './listener.ts';

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
