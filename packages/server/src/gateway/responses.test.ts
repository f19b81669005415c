import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { ErrorBody } from '@ebb/contract';
import { createGatewayHarness, eventually, listenOnLoopback } from '../../../../testing/harness/gateway.ts';
import { openWire, talk } from '../../../../testing/harness/talk.ts';
import { Gateway } from './gateway.ts';
import { OPEN_GATE } from './rate-gates.ts';
import type { RouteTable } from './route-table.ts';

/** A function that writes bytes of its own instead of an answer, and then closes. */
const serveBytes = (bytes: string) => () => {
  const server = createServer();
  server.on('request', ({ socket }: IncomingMessage) => socket.end(bytes, 'latin1'));
  return server;
};
const GET = 'GET /function/f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

describe('what a function may answer (fault case 23)', () => {
  test.each([
    ['a reason that is not text', 'HTTP/1.1 200 \xff\xfe\r\nContent-Length: 0\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['chunks and a length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok'],
    ['an upgrade nobody asked for', 'HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'],
    ['headers beyond the limit', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`],
    ['no HTTP at all', 'hello\r\n\r\n'],
  ])('%s is 502 BAD_RESPONSE', async (_what, bytes) => {
    await using harness = await createGatewayHarness({ serve: serveBytes(bytes) });
    await harness.deploy('f');
    const answer = await talk(harness.port, GET);
    expect(answer).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n[^]*BAD_RESPONSE/);
    expect(answer).not.toContain('Retry-After');
    await eventually(() => harness.gateway.running === 0);
  });

  test('informational answers do not pass, the final one does', async () => {
    const bytes = 'HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    await using harness = await createGatewayHarness({ serve: serveBytes(bytes) });
    await harness.deploy('f');
    expect(await talk(harness.port, GET)).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nok$/);
  });

  test('a body after 204 reaches nobody', async () => {
    await using harness = await createGatewayHarness({ serve: serveBytes('HTTP/1.1 204 No Content\r\n\r\nhello') });
    await harness.deploy('f');
    expect(await talk(harness.port, GET)).toMatch(/^HTTP\/1.1 204 [^]*\r\n\r\n$/);
  });

  test('G5: trailers pass, but not those that pretend to be the platform’s', async () => {
    const end = '0\r\nX-Sum: 1\r\nX-Call-Id: forged\r\n\r\n';
    const bytes = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n${end}`;
    await using harness = await createGatewayHarness({ serve: serveBytes(bytes) });
    await harness.deploy('f');
    const answer = await talk(harness.port, GET);
    expect(answer).toMatch(/\r\n0\r\nX-Sum: 1\r\n\r\n$/);
    expect(answer).not.toContain('forged');
  });
});

describe('a function that answers before it has read the request', () => {
  test('is heard in full, and the caller’s connection stays usable', async () => {
    const serve = () => (_request: IncomingMessage, response: ServerResponse) => {
      response.statusCode = 413;
      response.end('too much'.padEnd(300_000, '.'));
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    const length = 8 * 2 ** 20;
    const { socket, text } = openWire(
      harness.port,
      `POST /function/f HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n.`,
    );
    await eventually(() => text().length > 300_000);
    await new Promise((resolve) => socket.write(Buffer.alloc(length - 1), resolve));
    const before = text().length;
    socket.write(GET);
    await eventually(() => text().slice(before).startsWith('HTTP/1.1 413 '));
    socket.destroy();
  });

  test('and crashes is 502, not a cut connection', async () => {
    await using harness = await createGatewayHarness({
      serve: (_spec, controls) => (request: IncomingMessage) => {
        request.once('data', () => controls.exit());
      },
    });
    await harness.deploy('f');
    const { socket, text } = openWire(
      harness.port,
      `POST /function/f HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(100_000)}`,
    );
    await eventually(() => text().includes('INSTANCE_CRASHED'));
    socket.destroy();
  });
});

test('G1: callers who pipelined several requests and left free every slot', async () => {
  const serve = () => (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/big') response.end('.'.repeat(3_000_000));
  };
  await using harness = await createGatewayHarness({ serve });
  await harness.deploy('f');
  const requests = ['/a', '/big', '/c'].map((path) => `GET /function/f${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join('');
  const { socket } = openWire(harness.port, requests);
  const [pool] = harness.pools.all();
  await eventually(() => (pool ?? [...harness.pools.all()][0])?.inFlight === 3);
  socket.destroy();
  await eventually(() => [...harness.pools.all()].every(({ inFlight }) => inFlight === 0));
  expect(harness.gateway.running).toBe(0);
});

test('a defect of the platform is 500 and logged under the id the caller got', async () => {
  const logged: unknown[] = [];
  const refuse = () => {
    throw new TypeError('a defect');
  };
  const gateway = new Gateway({
    pools: { tryAcquire: refuse, acquire: refuse, isCold: () => false },
    routes: { find: () => ROUTE } as unknown as RouteTable,
    authenticator: { authenticate: refuse },
    logger: { error: (fields: unknown) => void logged.push(fields) },
    record: () => {},
  });
  const server = createServer((request, response) => void gateway.handle(request, response));
  const port = await listenOnLoopback(server);
  const response = await fetch(`http://127.0.0.1:${port}/function/f`);
  const { code, callId } = (await response.json()) as ErrorBody;
  expect([response.status, code, logged]).toEqual([500, 'INTERNAL', [{ err: new TypeError('a defect'), callId }]]);
  server.close();
});

const ROUTE = {
  kind: 'route',
  version: { name: 'f' },
  authRequired: false,
  timeoutMs: 1_000,
  versionLabel: 'f@1',
  rate: OPEN_GATE,
};
