import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { createEbbClient } from './client.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

const open: { close(): unknown; closeAllConnections(): void }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(answer: Answer) {
  const server = createServer((request, response) => void answer(request, response));
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return createEbbClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 's3cret' });
}

const json = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

test('what is not allowed is refused in the words of the caller, and not sent', async () => {
  const client = await serve((_, response) => void response.writeHead(500).end());
  await expect(client.invocations.send({ namespace: 'n', name: 'f' }, { delay: '400d' })).rejects.toThrow(
    '"delay" is "400d" but must be a duration from 0s to 365d',
  );
});

test('hands a call in as it would be made, without the token unless it is wanted', async () => {
  const seen: unknown[] = [];
  const client = await serve(async (request, response) => {
    const { method, url, headers } = request;
    seen.push([
      method,
      url,
      headers.authorization,
      headers['x-ebb-delay'],
      headers['idempotency-key'],
      await text(request),
    ]);
    response.writeHead(202, { 'x-call-id': 'i1', ...(seen.length > 1 && { 'idempotent-replayed': 'true' }) }).end();
  });
  const ref = { namespace: 'n', name: 'f' };
  async function* body() {
    yield Buffer.from('a');
    yield Buffer.from('b');
  }
  const call = { alias: 'beta', path: '/x?y=1', delay: '5m', idempotencyKey: 'k' };
  expect(await client.invocations.send(ref, { ...call, body: body() })).toEqual({ id: 'i1' });
  expect(await client.invocations.send(ref, { authenticate: true })).toEqual({ id: 'i1', duplicate: true });
  expect(seen).toEqual([
    ['POST', '/async-function/f.n:beta/x?y=1', undefined, '5m', 'k', 'ab'],
    ['POST', '/async-function/f.n', 'Bearer s3cret', undefined, undefined, ''],
  ]);
});

test('what is not accepted is an error with its code', async () => {
  const client = await serve(
    (_request, response) =>
      void json(response, 507, { code: 'STORAGE_FULL', message: 'no space', component: 'store', callId: 'c' }),
  );
  await expect(client.invocations.send({ namespace: 'n', name: 'f' })).rejects.toMatchObject({ code: 'STORAGE_FULL' });
});

test('waits over several requests until the call has ended, also when a server answers early', async () => {
  const asked: string[] = [];
  const client = await serve((request, response) => {
    asked.push(request.url ?? '');
    void json(response, 200, { id: 'i1', state: asked.length < 3 ? 'queued' : 'succeeded' });
  });
  expect(await client.invocations.wait('i1', { limitMs: 60_000, namespace: 'n' })).toMatchObject({
    state: 'succeeded',
  });
  expect(asked).toHaveLength(3);
  expect(asked[0]).toBe('/v1/invocations/i1?namespace=n&wait=30000ms');
  asked.length = 0;
  expect(await client.invocations.wait('i1', { limitMs: 0 })).toMatchObject({ state: 'queued' });
  expect(asked).toHaveLength(1);
});

test('gives the kept answer with the status its function gave it', async () => {
  const client = await serve((request, response) => {
    expect(request.url).toBe('/v1/invocations/i1/result');
    response
      .writeHead(200, { 'content-type': 'text/html', 'content-length': 4, 'x-ebb-function-status': '418' })
      .end('body');
  });
  const { status, contentType, sizeBytes, body } = await client.invocations.result('i1');
  expect([status, contentType, sizeBytes, await body.text()]).toEqual([418, 'text/html', 4, 'body']);
});
