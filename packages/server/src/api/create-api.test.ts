import { createConnection } from 'node:net';
import type { ErrorBody } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../core/logger.ts';
import { SECRET, startApi } from '../../../../testing/harness/api.ts';
import type { Route } from './route.ts';

const SPEC = { image: 'example:1' };
const FUNCTIONS = '/v1/namespaces/openfaas-fn/functions';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.stop());

const refusal = async (response: Response): Promise<ErrorBody & { status: number }> => ({
  ...((await response.json()) as ErrorBody),
  status: response.status,
});

/** A concrete path of a route. */
const pathOf = (route: Route): string => route.path.replace('{namespace}', 'openfaas-fn').replace('{name}', 'hello');

/** What a server answers to bytes that no HTTP client would send. */
const sendRaw = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ port: server.port, host: '127.0.0.1' });
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
    socket.write(text);
  });

describe('authorisation', () => {
  test('T1: every route but health and the description refuses a caller without or with wrong credentials', async () => {
    const open = server.api.routes.filter((route) => route.scope === 'open').map((route) => route.path);
    expect(open).toEqual(['/v1/health', '/v1/openapi.json']);
    for (const route of server.api.routes) {
      const expected = route.scope === 'open' ? 200 : 401;
      const response = await fetch(`${server.url}${pathOf(route)}`, { method: route.method });
      expect(response.status, `${route.method} ${route.path}`).toBe(expected);
      if (expected === 401) {
        expect(response.headers.get('www-authenticate')).toBe('Bearer realm="ebb"');
        expect(await response.json()).toMatchObject({ code: 'UNAUTHENTICATED', component: 'auth' });
      }
    }
    const wrong = await fetch(`${server.url}/v1/version`, { headers: { authorization: 'Bearer wrong-secret' } });
    expect(wrong.status).toBe(401);
  });

  test('accepts the admin secret as a bearer token and as the password of user admin', async () => {
    const basic = `Basic ${Buffer.from(`admin:${SECRET}`).toString('base64')}`;
    for (const authorization of [`Bearer ${SECRET}`, basic]) {
      expect((await fetch(`${server.url}/v1/version`, { headers: { authorization } })).status).toBe(200);
    }
  });
});

describe('errors', () => {
  test('every answer carries an id that the caller cannot choose, and an error repeats it', async () => {
    const response = await server.send('GET', '/v1/nothing', undefined, { 'x-call-id': 'forged' });
    const body = await refusal(response);
    expect(body).toMatchObject({ status: 404, code: 'NOT_FOUND', component: 'api' });
    expect(body.callId).toMatch(/^[0-9a-f-]{36}$/);
    expect(response.headers.get('x-call-id')).toBe(body.callId);
    expect(response.headers.get('x-ebb-error')).toBe('api');
    expect((await server.send('GET', '/v1/health')).headers.get('x-call-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a wrong method is told which are possible', async () => {
    const response = await server.send('POST', `${FUNCTIONS}/hello`);
    expect(response.headers.get('allow')).toBe('GET, PUT, DELETE');
    expect(await refusal(response)).toMatchObject({
      status: 405,
      code: 'METHOD_NOT_ALLOWED',
      message: 'POST is not possible on /v1/namespaces/openfaas-fn/functions/hello, only GET, PUT, DELETE',
    });
  });

  test.each([
    [
      'a body that is not JSON',
      '{"spec": nope}',
      400,
      'INVALID_REQUEST',
      "the body is not valid JSON: Unexpected token 'o'",
    ],
    ['an empty body', '', 400, 'INVALID_REQUEST', 'the body is empty but must be JSON'],
    ['a body that is no object', '[]', 400, 'INVALID_REQUEST', 'the body is a list but must be an object'],
    ['a missing field', '{}', 400, 'INVALID_REQUEST', '"spec" is missing: expected an object'],
    [
      'an unknown field',
      '{"spec":{"image":"a"},"privileged":true}',
      400,
      'UNKNOWN_FIELD',
      'the body has an unknown field "privileged"',
    ],
    [
      'a value out of range',
      '{"spec":{"image":"a","port":0}}',
      400,
      'INVALID_REQUEST',
      '"spec.port" is 0 but must be at least 1',
    ],
    ['a prototype key', '{"spec":{"image":"a","env":{"__proto__":"x"}}}', 400, 'INVALID_REQUEST', '"__proto__"'],
    ['deep nesting (case 49)', '['.repeat(100_00), 400, 'INVALID_REQUEST', 'the body is nested deeper than 32 levels'],
    [
      'too much',
      ' '.repeat(65_537),
      413,
      'PAYLOAD_TOO_LARGE',
      'the body is larger than 64 KiB, the most this route takes',
    ],
  ])('%s is refused in one sentence', async (_what, body, status, code, message) => {
    const response = await server.send('PUT', `${FUNCTIONS}/hello`, body, { 'content-type': 'application/json' });
    const answer = await refusal(response);
    expect(answer).toMatchObject({ status, code });
    expect(answer.message).toContain(message);
  });

  test('a body that is too large is refused as well when its length was not announced', async () => {
    const chunks = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(32_768));
      },
    });
    const response = await fetch(`${server.url}${FUNCTIONS}/hello`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' },
      body: chunks.pipeThrough(new TransformStream({ transform: limitTo(3_000_000) })),
      duplex: 'half',
    });
    expect(await refusal(response)).toMatchObject({ status: 413, code: 'PAYLOAD_TOO_LARGE' });
  });

  test.each([
    [undefined, 'the header Content-Type is missing but must be application/json'],
    ['text/plain', 'the header Content-Type is "text/plain" but must be application/json'],
  ])('the media type %s is refused by name', async (type, message) => {
    const body = new TextEncoder().encode('{}');
    const response = await server.send(
      'PUT',
      `${FUNCTIONS}/hello`,
      body,
      type === undefined ? {} : { 'content-type': type },
    );
    expect(await refusal(response)).toMatchObject({ status: 415, code: 'UNSUPPORTED_MEDIA_TYPE', message });
  });

  test.each(['%2e%2e%2fetc', 'a%00b', 'UPPER', '%C3%A4', 'a'.repeat(300), '__proto__', '-a', 'a%2Fb'])(
    'fault case 18: the name %s is refused',
    async (name) => {
      const answer = await refusal(await server.send('GET', `${FUNCTIONS}/${name}`));
      expect(answer).toMatchObject({ status: 400, code: 'INVALID_REQUEST' });
      expect(answer.message).toMatch(/^"name" is ".* but must be 1 to 63 lower-case letters/);
    },
  );

  test('fault case 18: an encoded step up is a name like any other, and refused', async () => {
    const head = `Authorization: Bearer ${SECRET}\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect(await sendRaw(`GET ${FUNCTIONS}/%2e%2e HTTP/1.1\r\n${head}`)).toContain('"name\\" is \\"..\\" but must be');
    expect(await sendRaw(`GET ${FUNCTIONS}/../../../secrets HTTP/1.1\r\n${head}`)).toMatch(/^HTTP\/1\.1 404 /);
  });

  test('a path with a broken escape is refused, not crashed on', async () => {
    const answer = await sendRaw(`GET ${FUNCTIONS}/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"INVALID_REQUEST"');
    expect(answer).toMatch(/x-call-id: [0-9a-f-]{36}/);
  });

  test('an unknown parameter of the query is refused by name', async () => {
    const answer = await refusal(await server.send('GET', `${FUNCTIONS}?page=2`));
    expect(answer).toMatchObject({ code: 'UNKNOWN_FIELD', message: 'the query has an unknown field "page"' });
  });

  test('of a defect the caller learns the call id and nothing else, the log the cause', async () => {
    const written: unknown[] = [];
    const logger = createLogger('silent');
    logger.error = (details: unknown) => {
      written.push(details);
    };
    const broken = await startApi({
      logger,
      engineFindings: () => Promise.reject(new Error('password in /etc/passwd')),
    });
    try {
      const text = await (await broken.send('GET', '/v1/doctor')).text();
      expect(text).not.toContain('passw');
      expect(JSON.parse(text)).toMatchObject({ code: 'INTERNAL' });
      expect(written).toEqual([
        expect.objectContaining({
          callId: JSON.parse(text).callId,
          err: expect.objectContaining({ message: 'password in /etc/passwd' }),
        }),
      ]);
    } finally {
      await broken.stop();
    }
  });

  test('a refused upload is answered, and the connection serves the next request', async () => {
    const big = new Uint8Array(4_000_000);
    for (let round = 0; round < 3; round += 1) {
      const response = await server.send('POST', '/v1/namespaces/absent/code', big, {
        'content-type': 'application/x-tar',
      });
      expect(await refusal(response)).toMatchObject({ status: 404, code: 'NAMESPACE_NOT_FOUND' });
    }
  });
});

describe('the server itself', () => {
  test('health is open and 503 while the server drains', async () => {
    expect(await (await fetch(`${server.url}/v1/health`)).json()).toEqual({
      status: 'ok',
      engine: { name: 'memory', ok: true },
    });
    server.setHealth({ status: 'draining', engine: { name: 'memory', ok: true } });
    expect((await fetch(`${server.url}/v1/health`)).status).toBe(503);
    server.setHealth({ status: 'ok', engine: { name: 'memory', ok: true } });
  });

  test('tells its version and what the doctor found', async () => {
    expect(await (await server.send('GET', '/v1/version')).json()).toMatchObject({ name: 'ebb', engine: 'memory' });
    expect(await (await server.send('GET', '/v1/doctor')).json()).toEqual([
      { check: 'docker', level: 'missing', message: 'no daemon answers' },
    ]);
  });
});

describe('a client that goes away', () => {
  test('does not stop its deploy half-way', async () => {
    const { promise: proving, resolve: begin } = Promise.withResolvers<void>();
    const { promise: proved, resolve: finish } = Promise.withResolvers<void>();
    server.gate.prove = async () => {
      begin();
      await proved;
    };
    const abort = new AbortController();
    const deploy = fetch(`${server.url}${FUNCTIONS}/left-alone`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' },
      body: JSON.stringify({ spec: SPEC }),
      signal: abort.signal,
    });
    await proving;
    abort.abort();
    await expect(deploy).rejects.toThrow('aborted');
    finish();
    await expect.poll(async () => (await server.send('GET', `${FUNCTIONS}/left-alone`)).status).toBe(200);
    server.gate.prove = () => Promise.resolve();
  });
});

function limitTo(maxBytes: number) {
  let bytes = 0;
  return (chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>) => {
    bytes += chunk.length;
    if (bytes > maxBytes) controller.terminate();
    else controller.enqueue(chunk);
  };
}
