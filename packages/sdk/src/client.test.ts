import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { EbbApiError, EbbUnreachableError } from './api-error.ts';
import { createEbbClient } from './client.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

describe('the client', () => {
  const open: { close(): unknown; closeAllConnections(): void }[] = [];
  afterEach(() => {
    for (const server of open.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  const serve = async (answer: Answer, token?: string) => {
    const server = createServer((request, response) => void answer(request, response));
    open.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return createEbbClient({ url, ...(token === undefined ? {} : { token }) });
  };
  const json = (response: ServerResponse, status: number, body: unknown, headers = {}) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

  test('deploys with the token, the spec and the query', async () => {
    const seen: unknown[] = [];
    const client = await serve(async (request, response) => {
      seen.push(request.method, request.url, request.headers.authorization, JSON.parse(await text(request)));
      json(response, 200, { name: 'a', change: 'created' });
    }, 's3cret');
    const ref = { namespace: 'n', name: 'a' };
    const result = await client.functions.deploy(ref, { spec: { image: 'x' } }, { probe: false });
    expect(result.change).toBe('created');
    const body = { spec: { image: 'x' } };
    expect(seen).toEqual(['PUT', '/v1/namespaces/n/functions/a?probe=false', 'Bearer s3cret', body]);
  });

  test('an error answer is an error with everything it said', async () => {
    const client = await serve((_request, response) => {
      const body = { code: 'QUEUE_FULL', message: 'busy', component: 'gateway', callId: 'c1', logs: ['l1'] };
      json(response, 429, body, { 'retry-after': '7' });
    });
    const error = await client.version().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EbbApiError);
    expect(error).toMatchObject({
      code: 'QUEUE_FULL',
      status: 429,
      message: 'busy',
      component: 'gateway',
      callId: 'c1',
      logs: ['l1'],
      retryAfterSeconds: 7,
    });
  });

  test('an answer that is not from Ebb says which server gave it', async () => {
    const client = await serve((_request, response) => void response.writeHead(502).end('<html>'));
    await expect(client.version()).rejects.toThrow(`the server at ${client.url} answered 502`);
  });

  test('a server that does not answer is named', async () => {
    const client = await serve(() => {});
    for (const server of open.splice(0)) server.close();
    const error = await client.version().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EbbUnreachableError);
    expect(error).toMatchObject({ message: `no answer from ${client.url}: nothing listens there` });
  });

  test('a request given up on ends with the reason of its signal', async () => {
    const client = await serve(() => {});
    const reason = new Error('enough');
    const stop = new AbortController();
    const asking = client.version({ signal: stop.signal });
    stop.abort(reason);
    await expect(asking).rejects.toBe(reason);
  });

  test('health is told even while the server drains', async () => {
    const health = { status: 'draining', engine: { name: 'process', ok: true } };
    const client = await serve((_request, response) => void json(response, 503, health));
    expect(await client.health()).toEqual(health);
  });

  test('log lines come as they are written, however the bytes are cut', async () => {
    const line = JSON.stringify({ text: 'grüße' });
    const bytes = Buffer.from(`${line}\n${line}\n`);
    const more = Promise.withResolvers<void>();
    const client = await serve(async (request, response) => {
      expect(request.url).toBe('/v1/namespaces/n/functions/a/logs?follow=true&tail=5');
      const cut = bytes.indexOf(0xc3) + 1;
      response.write(bytes.subarray(0, cut));
      response.write(bytes.subarray(cut, line.length + 4));
      await more.promise;
      response.end(bytes.subarray(line.length + 4));
    });
    const lines = client.functions.logs({ namespace: 'n', name: 'a' }, { follow: true, tail: 5 });
    expect((await lines.next()).value).toEqual({ text: 'grüße' });
    more.resolve();
    expect((await lines.next()).value).toEqual({ text: 'grüße' });
    expect((await lines.next()).done).toBe(true);
  });

  test('code streams: no more is read than is sent, and reading ends when sending does', async () => {
    const client = await serve((_request, response) => {
      json(response, 413, { code: 'CODE_TOO_LARGE', message: 'too large', component: 'builds', callId: 'c' });
    });
    let hasEnded = false;
    async function* endless() {
      try {
        for (;;) {
          yield new Uint8Array(65_536);
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        hasEnded = true;
      }
    }
    await expect(client.code.upload('n', endless(), 'tar')).rejects.toThrow();
    await expect.poll(() => hasEnded).toBe(true);
  });

  describe('invoke', () => {
    const ref = { namespace: 'n', name: 'a' };

    test('returns answers of any status and follows no redirect', async () => {
      const client = await serve((_request, response) => void response.writeHead(302, { location: '/x' }).end('body'));
      const response = await client.invoke(ref, { path: 'b?c=1' });
      expect([response.status, await response.text()]).toEqual([302, 'body']);
    });

    test('T2: a public function does not see the token, one that wants it does', async () => {
      const client = await serve(
        (request, response) =>
          void json(response, 200, [request.method, request.url, request.headers.authorization ?? null]),
        's3cret',
      );
      expect(await (await client.invoke(ref)).json()).toEqual(['GET', '/function/a.n', null]);
      const withBody = await client.invoke(ref, { path: '/b', body: 'x', authenticate: true });
      expect(await withBody.json()).toEqual(['POST', '/function/a.n/b', 'Bearer s3cret']);
      const own = await client.invoke(ref, { authenticate: true, headers: { Authorization: 'Basic x' } });
      expect(await own.json()).toEqual(['GET', '/function/a.n', 'Basic x']);
    });
  });
});
