import { connect } from 'node:net';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { ErrorBody } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually, HARNESS_AUTHORIZATION } from '../../../../testing/harness/gateway.ts';
import { talk } from '../../../../testing/harness/talk.ts';

const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    response.setHeader('Content-Type', 'application/json');
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      }),
    );
  });
};

interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

const errorOf = async (response: Response) => (await response.json()) as ErrorBody;

describe('routing', () => {
  test('method, path, query and body reach the function unchanged', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('hello');
    const response = await fetch(`${harness.url}/function/hello/a%20b/c?x=1&y=%2F`, { method: 'PUT', body: 'text' });
    const seen = (await response.json()) as Echo;
    expect(seen).toMatchObject({ method: 'PUT', url: '/a%20b/c?x=1&y=%2F', body: 'text' });
  });

  test.each([
    ['/function/hello', '/'],
    ['/function/hello?a=1', '/?a=1'],
    ['/function/hello.openfaas-fn/x', '/x'],
    ['/function/hello/', '/'],
  ])('%s is %s to the function', async (path, seen) => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('hello');
    expect(((await (await fetch(harness.url + path)).json()) as Echo).url).toBe(seen);
  });

  test.each([
    '/function/nobody',
    '/function/hello.other',
    '/function/__proto__',
    '/function/hello%2F..%2F',
    '/function/.openfaas-fn',
  ])('%s is FUNCTION_NOT_FOUND', async (path) => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('hello');
    const response = await fetch(harness.url + path);
    expect(response.status).toBe(404);
    expect(await errorOf(response)).toMatchObject({ code: 'FUNCTION_NOT_FOUND', component: 'gateway' });
  });

  test('a removed function is unknown at once', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('hello');
    await fetch(`${harness.url}/function/hello`);
    await harness.remove('hello');
    expect((await fetch(`${harness.url}/function/hello`)).status).toBe(404);
    await eventually(async () => (await harness.engine.list()).length === 0);
  });
});

describe('headers', () => {
  test('G5: what the platform sets cannot be forged, and hop-by-hop headers do not pass', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('hello');
    const raw = [
      'GET /function/hello HTTP/1.1',
      'Host: example.org',
      'X-Call-Id: forged',
      'X-Start-Time: 1',
      'X-Ebb-Deadline: 1',
      'X-Ebb-Anything: 1',
      'X-Forwarded-For: 10.0.0.1',
      'Connection: close, X-Secret-Hop',
      'X-Secret-Hop: 1',
      'Proxy-Authorization: Basic abc',
      'TE: trailers',
      'X-Mine: kept',
      '',
      '',
    ].join('\r\n');
    const answer = await talk(harness.port, raw);
    const seen = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as Echo;
    expect(seen.headers['x-call-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(seen.headers['x-start-time']).toMatch(/^\d{19}$/);
    expect(Number(seen.headers['x-ebb-deadline'])).toBeGreaterThan(Date.now());
    expect(seen.headers['x-forwarded-for']).toBe('127.0.0.1');
    expect(seen.headers['x-forwarded-host']).toBe('example.org');
    expect(seen.headers['x-mine']).toBe('kept');
    expect(seen.headers['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    for (const name of ['x-ebb-anything', 'x-secret-hop', 'proxy-authorization', 'te']) {
      expect(seen.headers).not.toHaveProperty(name);
    }
    expect(answer).toContain(`X-Call-Id: ${seen.headers['x-call-id']}`);
  });

  test('a valid trace context is carried on', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('hello');
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const response = await fetch(`${harness.url}/function/hello`, { headers: { traceparent } });
    expect(((await response.json()) as Echo).headers['traceparent']).toBe(traceparent);
  });

  test('the answer keeps status, headers and repeated cookies, and gets the call id', async () => {
    const serve = () => (_request: IncomingMessage, response: ServerResponse) => {
      response.writeHead(
        418,
        'Teapot',
        [
          ['Set-Cookie', 'a=1'],
          ['Set-Cookie', 'b=2'],
          ['X-Call-Id', 'forged'],
          ['Keep-Alive', 'timeout=1'],
        ].flat(),
      );
      response.end('short and stout');
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('hello');
    const response = await fetch(`${harness.url}/function/hello`);
    expect([response.status, response.statusText, await response.text()]).toEqual([418, 'Teapot', 'short and stout']);
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(response.headers.get('x-call-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(response.headers.get('x-ebb-version')).toBe('hello@1');
  });

  test('a function with auth: required answers 401 without credentials and never sees them', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('private', { auth: 'required' });
    await harness.deploy('public');
    const refused = await fetch(`${harness.url}/function/private`);
    expect([refused.status, (await errorOf(refused)).code]).toEqual([401, 'UNAUTHENTICATED']);
    const headers = { authorization: HARNESS_AUTHORIZATION };
    const let_in = await fetch(`${harness.url}/function/private`, { headers });
    expect(((await let_in.json()) as Echo).headers).not.toHaveProperty('authorization');
    const other = await fetch(`${harness.url}/function/private`, {
      headers: { 'x-ebb-authorization': HARNESS_AUTHORIZATION, authorization: 'Basic mine' },
    });
    const seen = ((await other.json()) as Echo).headers;
    expect(seen).not.toHaveProperty('x-ebb-authorization');
    expect(seen['authorization']).toBe('Basic mine');
    const open = await fetch(`${harness.url}/function/public`, { headers: { authorization: 'Basic mine' } });
    expect(((await open.json()) as Echo).headers['authorization']).toBe('Basic mine');
  });
});

describe('framing (fault case 21)', () => {
  const body = 'Content-Length: 5\r\n\r\nhello';
  test.each([
    ['content length and chunks', 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'],
    ['two content lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello'],
    ['an unknown transfer coding', `Transfer-Encoding: xchunked\r\n${body}`],
    ['a space before the colon', 'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
    ['a folded header', `X-Folded: a\r\n b\r\n${body}`],
    ['a bare line feed', `X-Bare: a\nX-Next: b\r\n${body}`],
    ['a negative content length', 'Content-Length: -5\r\n\r\nhello'],
    ['a signed content length', 'Content-Length: +5\r\n\r\nhello'],
    ['a hexadecimal content length', 'Content-Length: 0x5\r\n\r\nhello'],
    ['a broken chunk size', 'Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n'],
    ['two hosts', `Host: other\r\n${body}`],
    ['a NUL in a header', `X-Nul: a\0b\r\n${body}`],
  ])('a request with %s is refused and never forwarded', async (_what, rest) => {
    let forwarded = 0;
    const serve = () => (request: IncomingMessage, response: ServerResponse) => {
      request.resume();
      request.on('end', () => {
        forwarded += 1;
        response.end('ok');
      });
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('hello');
    const answer = await talk(harness.port, `POST /function/hello HTTP/1.1\r\nHost: a\r\n${rest}`);
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(forwarded).toBe(0);
  });

  test('headers beyond the limit are 431', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('hello');
    const answer = await talk(
      harness.port,
      `GET /function/hello HTTP/1.1\r\nHost: a\r\nX-Big: ${'a'.repeat(20_000)}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 431 /);
  });

  test('an upgrade to something else than a WebSocket is an ordinary request (case 24)', async () => {
    await using harness = await createGatewayHarness({ serve: () => echo });
    await harness.deploy('hello');
    const answer = await talk(
      harness.port,
      'GET /function/hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer).not.toMatch(/http2-settings|upgrade/);
  });
});

describe('streaming', () => {
  test('request and response bodies stream both ways before either has ended', async () => {
    const serve = () => (request: IncomingMessage, response: ServerResponse) => {
      request.on('data', (chunk: Buffer) => response.write(`got ${chunk.toString()};`));
      request.on('end', () => response.end('end'));
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('talk');
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const pending = fetch(`${harness.url}/function/talk`, {
      method: 'POST',
      body: readable,
      duplex: 'half',
    });
    await writer.write(Buffer.from('one'));
    const response = await pending;
    const reader = response.body?.getReader();
    const next = async () => Buffer.from((await reader?.read())?.value ?? []).toString();
    expect(await next()).toBe('got one;');
    await writer.write(Buffer.from('two'));
    expect(await next()).toBe('got two;');
    await writer.close();
    expect(await next()).toBe('end');
  });

  test('the head of an answer goes out before its body begins (server-sent events)', async () => {
    const held: ServerResponse[] = [];
    const serve = () => (_request: IncomingMessage, response: ServerResponse) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.flushHeaders();
      held.push(response);
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('events');
    const response = await fetch(`${harness.url}/function/events`);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    held[0]?.write('data: 1\n\n');
    const reader = response.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('data: 1\n\n');
    held[0]?.end();
  });

  test('a slow reader holds the function back instead of filling memory (case 41)', async () => {
    let written = 0;
    const serve = () => (_request: IncomingMessage, response: ServerResponse) => {
      const chunk = Buffer.alloc(65_536);
      const more = () => {
        while (written < 256 * 65_536 && response.write(chunk)) written += chunk.length;
        if (written < 256 * 65_536) response.once('drain', more);
        else response.end();
      };
      more();
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('flood');
    const socket = connect(harness.port, '127.0.0.1');
    socket.write('GET /function/flood HTTP/1.1\r\nHost: a\r\n\r\n');
    socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(written).toBeLessThan(14 * 2 ** 20);
    socket.destroy();
    await eventually(() => harness.gateway.running === 0);
  });

  test('a client that goes away aborts the function’s request and frees the slot', async () => {
    let aborted = 0;
    const serve = () => (request: IncomingMessage, response: ServerResponse) => {
      request.resume();
      response.on('close', () => {
        if (!response.writableFinished) aborted += 1;
      });
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('stuck', { concurrency: 1, scale: { max: 1 } });
    const leaving = new AbortController();
    const call = fetch(`${harness.url}/function/stuck`, { signal: leaving.signal }).catch(() => 'left');
    await eventually(() => [...harness.pools.all()].some((pool) => pool.inFlight === 1));
    leaving.abort();
    expect(await call).toBe('left');
    await eventually(() => aborted === 1 && [...harness.pools.all()].every((pool) => pool.inFlight === 0));
    expect(harness.events.at(-1)).toMatchObject({ status: 499 });
  });

  test('HEAD, 204 and 304 have no body and leave the connection usable', async () => {
    const serve = () => (request: IncomingMessage, response: ServerResponse) => {
      response.statusCode = request.url === '/304' ? 304 : request.url === '/204' ? 204 : 200;
      response.end(response.statusCode === 200 ? 'body' : undefined);
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('quiet');
    for (const [method, path, status] of [
      ['HEAD', '/', 200],
      ['GET', '/204', 204],
      ['GET', '/304', 304],
      ['GET', '/', 200],
    ] as const) {
      const response = await fetch(`${harness.url}/function/quiet${path}`, { method });
      expect([path, response.status]).toEqual([path, status]);
      await response.text();
    }
  });
});
