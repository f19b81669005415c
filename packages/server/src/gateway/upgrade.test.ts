import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually, HARNESS_AUTHORIZATION } from '../../../../testing/harness/gateway.ts';
import { openWire, talk } from '../../../../testing/harness/talk.ts';

const ACCEPT = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n';

/** A function that does with a handshake what a test says. */
const serveUpgrade = (answer: (socket: Duplex, headers: Record<string, unknown>) => void) => () => {
  const server = createServer();
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => {});
    answer(socket, request.headers);
  });
  return server;
};
const handshake = (name: string, ...headers: string[]) =>
  [
    `GET /function/${name}/chat HTTP/1.1`,
    'Host: a',
    'Connection: Upgrade',
    'Upgrade: websocket',
    ...headers,
    '',
    '',
  ].join('\r\n');

describe('WebSocket upgrade', () => {
  test('bytes flow both ways after the handshake, and closing one side closes the other', async () => {
    let closed = 0;
    const serve = serveUpgrade((socket) => {
      socket.write(`${ACCEPT}\r\n`);
      socket.on('data', (chunk: Buffer) => socket.write(`echo ${chunk.toString()}`));
      socket.on('end', () => socket.end());
      socket.on('close', () => (closed += 1));
    });
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('socket');
    const { socket, text } = openWire(harness.port, handshake('socket'));
    await eventually(() => text().includes('101 Switching Protocols'));
    socket.write('ping');
    await eventually(() => text().endsWith('echo ping'));
    expect(harness.gateway.running).toBe(1);
    socket.destroy();
    await eventually(() => closed === 1 && harness.gateway.running === 0);
  });

  test('the handshake keeps its own headers, and neither side can forge the platform’s (G5)', async () => {
    let seen: Record<string, unknown> = {};
    const serve = serveUpgrade((socket, headers) => {
      seen = headers;
      socket.end(`${ACCEPT}Sec-WebSocket-Accept: answer\r\nX-Call-Id: forged\r\nX-Ebb-Version: forged\r\n\r\n`);
    });
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('socket');
    const sent = [
      'Sec-WebSocket-Key: key',
      'Sec-WebSocket-Protocol: chat',
      'X-Odd:  a\t\xff:~ ',
      'X-Empty:',
      'X-Call-Id: forged',
    ];
    const answer = await talk(harness.port, handshake('socket', ...sent));
    expect(seen).toMatchObject({
      'sec-websocket-key': 'key',
      'sec-websocket-protocol': 'chat',
      'x-odd': 'a\t\xff:~',
      'x-empty': '',
      upgrade: 'websocket',
      connection: 'Upgrade',
    });
    expect(answer).toContain('Sec-WebSocket-Accept: answer\r\n');
    expect(answer).toContain(`X-Call-Id: ${String(seen['x-call-id'])}\r\n`);
    expect(answer).toContain('X-Ebb-Version: socket@1\r\n');
    expect(answer).not.toContain('forged');
    await eventually(() => harness.gateway.running === 0);
  });

  test('an upgrade to an unknown function is 404, and without wanted credentials 401', async () => {
    await using harness = await createGatewayHarness({ serve: serveUpgrade((socket) => socket.end(`${ACCEPT}\r\n`)) });
    await harness.deploy('private', { auth: 'required' });
    expect(await talk(harness.port, handshake('none'))).toMatch(/^HTTP\/1.1 404 [^]*FUNCTION_NOT_FOUND/);
    expect(await talk(harness.port, handshake('private'))).toMatch(/^HTTP\/1.1 401 [^]*UNAUTHENTICATED/);
    const authorization = `Authorization: ${HARNESS_AUTHORIZATION}`;
    expect(await talk(harness.port, handshake('private', authorization))).toMatch(/^HTTP\/1.1 101 /);
  });

  test('a caller who resets a refused upgrade does not end the server', async () => {
    const errors: unknown[] = [];
    const note = (error: unknown) => errors.push(error);
    process.on('uncaughtException', note);
    await using harness = await createGatewayHarness({ serve: serveUpgrade(() => {}) });
    for (let i = 0; i < 10; i += 1) {
      const { socket } = openWire(harness.port, handshake('none'));
      socket.once('connect', () => socket.resetAndDestroy());
      const late = openWire(harness.port, handshake('none')).socket;
      late.once('data', () => late.resetAndDestroy());
      await eventually(() => late.destroyed && socket.destroyed);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.off('uncaughtException', note);
    expect(errors).toEqual([]);
  });

  test.each([
    [
      'refused',
      'HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno',
      /^HTTP\/1.1 403 No\r\n[^]*X-Call-Id: [^]*\r\n\r\nno$/,
    ],
    ['answered with garbage', 'hello\r\n\r\n', /^HTTP\/1.1 502 [^]*BAD_RESPONSE/],
    ['cut', undefined, /^HTTP\/1.1 502 [^]*INSTANCE_CRASHED/],
  ])('a handshake that is %s is told to the caller, and the slot is free again', async (_what, answer, expected) => {
    const serve = serveUpgrade((socket) => (answer === undefined ? socket.destroy() : socket.write(answer)));
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('socket');
    expect(await talk(harness.port, handshake('socket'))).toMatch(expected);
    await eventually(
      () => harness.gateway.running === 0 && [...harness.pools.all()].every((pool) => pool.inFlight === 0),
    );
  });

  test('G4: a handshake that is never answered is 504', async () => {
    await using harness = await createGatewayHarness({ serve: serveUpgrade(() => {}) });
    await harness.deploy('socket', { timeout: '50ms' });
    expect(await talk(harness.port, handshake('socket'))).toMatch(/^HTTP\/1.1 504 [^]*FUNCTION_TIMEOUT/);
    await eventually(() => harness.gateway.running === 0);
    expect(harness.events.at(-1)).toMatchObject({ status: 504, errorCode: 'FUNCTION_TIMEOUT' });
  });

  test('an open connection ends at the function’s timeout', async () => {
    await using harness = await createGatewayHarness({
      serve: serveUpgrade((socket) => socket.write(`${ACCEPT}\r\n`)),
    });
    await harness.deploy('socket', { timeout: '100ms' });
    expect(await talk(harness.port, handshake('socket'))).toMatch(/^HTTP\/1.1 101 /);
    await eventually(() => harness.gateway.running === 0);
    expect(harness.events.at(-1)).toMatchObject({ status: 101 });
  });

  test('a caller who leaves during the handshake frees the slot', async () => {
    let asked = 0;
    await using harness = await createGatewayHarness({ serve: serveUpgrade(() => (asked += 1)) });
    await harness.deploy('socket');
    const { socket } = openWire(harness.port, handshake('socket'));
    await eventually(() => asked === 1);
    socket.destroy();
    await eventually(() => harness.gateway.running === 0);
    expect(harness.events.at(-1)).toMatchObject({ status: 499 });
    expect([...harness.pools.all()].map((pool) => pool.inFlight)).toEqual([0]);
  });

  test('closing the front door ends open WebSockets too', async () => {
    const harness = await createGatewayHarness({ serve: serveUpgrade((socket) => socket.write(`${ACCEPT}\r\n`)) });
    await harness.deploy('socket');
    const { text, isClosed } = openWire(harness.port, handshake('socket'));
    await eventually(() => text().includes('101'));
    await harness[Symbol.asyncDispose]();
    await eventually(() => isClosed() && harness.gateway.running === 0);
  });
});
