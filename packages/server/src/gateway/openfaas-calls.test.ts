import type { IncomingHttpHeaders, RequestListener } from 'node:http';
import { describe, expect, test } from 'vitest';
import { call } from '../../../../testing/harness/call.ts';
import { createGatewayHarness } from '../../../../testing/harness/gateway.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Answers with the headers it got, and with those that a query asks for. */
const echo: RequestListener = (request, response) => {
  const asked = new URL(request.url ?? '/', 'http://f').searchParams;
  const status = Number(asked.get('status') ?? 200);
  const type = asked.get('type');
  if (type !== null) response.setHeader('Content-Type', type);
  if (asked.has('to')) response.setHeader('Location', 'http://elsewhere.test/');
  response.writeHead(status);
  response.end(status === 204 ? undefined : JSON.stringify(request.headers));
};

async function createHarness() {
  const harness = await createGatewayHarness({ serve: () => echo });
  await harness.deploy('theirs', { openfaas: {} });
  await harness.deploy('ours');
  return harness;
}

const seenBy = ({ text }: { readonly text: string }) => JSON.parse(text) as IncomingHttpHeaders;

describe('a call of a function deployed through the compatible API', () => {
  test('has an id and its moment in nanoseconds, both ways', async () => {
    await using harness = await createHarness();
    const before = BigInt(Date.now()) * 1_000_000n;
    const answer = await call(`${harness.url}/function/theirs`);
    const seen = seenBy(answer);
    expect(answer.headers['x-call-id']).toMatch(UUID);
    expect(seen['x-call-id']).toBe(answer.headers['x-call-id']);
    expect(seen['x-start-time']).toBe(answer.headers['x-start-time']);
    expect(BigInt(String(answer.headers['x-start-time']))).toBeGreaterThanOrEqual(before);
  });

  test.each(['0b9a5a56-4c6e-4c0e-9f5c-0f8a6a9a2d11', 'my-call-7'])(
    'keeps the id %s that its caller gave it',
    async (id) => {
      await using harness = await createHarness();
      // Through the express lane, and through Node's own server.
      for (const body of ['text', ['pie', 'ces']]) {
        const answer = await call(`${harness.url}/function/theirs`, { headers: { 'X-Call-Id': id }, body });
        expect([answer.headers['x-call-id'], seenBy(answer)['x-call-id']]).toEqual([id, id]);
        expect(seenBy(answer)['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      }
      expect(harness.events.at(-1)?.callId).toBe(id);
    },
  );

  test('gets an id of its own in place of one that is none', async () => {
    await using harness = await createHarness();
    for (const id of ['a b', '', 'x'.repeat(200)]) {
      const answer = await call(`${harness.url}/function/theirs`, { headers: { 'X-Call-Id': id } });
      expect(answer.headers['x-call-id']).toMatch(UUID);
    }
  });

  test('keeps what its caller says of its way, and says only what is absent', async () => {
    await using harness = await createHarness();
    const headers = { 'X-Forwarded-For': '192.0.2.7', 'X-Forwarded-Host': 'faas.test' };
    const url = `${harness.url}/function/theirs`;
    expect(seenBy(await call(url, { headers }))).toMatchObject({
      'x-forwarded-for': '192.0.2.7',
      'x-forwarded-host': 'faas.test',
      'x-forwarded-proto': 'http',
    });
    expect(seenBy(await call(url))).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': `127.0.0.1:${harness.port}`,
      'x-forwarded-proto': 'http',
    });
    expect(seenBy(await call(url, { headers: { 'X-Forwarded-Proto': 'https' } }))).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'https',
    });
  });

  test('G5: of any other function neither is kept', async () => {
    await using harness = await createHarness();
    const headers = { 'X-Forwarded-For': '192.0.2.7', 'X-Forwarded-Host': 'faas.test', 'X-Call-Id': 'my-call-7' };
    const answer = await call(`${harness.url}/function/ours`, { headers });
    expect(answer.headers['x-call-id']).toMatch(UUID);
    expect(seenBy(answer)).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': `127.0.0.1:${harness.port}`,
      'x-call-id': answer.headers['x-call-id'],
    });
  });

  test('has an answer of the function’s type, else of the request’s, else plain text', async () => {
    await using harness = await createHarness();
    const url = `${harness.url}/function/theirs`;
    const json = { headers: { 'Content-Type': 'application/json' }, body: '{}' };
    const types = await Promise.all([
      call(`${url}?type=text/html`, json),
      call(url, json),
      call(url),
      call(`${url}?status=204`, json),
      call(`${harness.url}/function/ours`, json),
    ]);
    expect(types.map(({ headers }) => headers['content-type'])).toEqual([
      'text/html',
      'application/json',
      'text/plain',
      undefined,
      undefined,
    ]);
    expect(types[0]?.headers['x-served-by']).toBe('ebb');
  });

  test('gets a redirect as it is', async () => {
    await using harness = await createHarness();
    const answer = await call(`${harness.url}/function/theirs?status=302&to=elsewhere`);
    expect([answer.status, answer.headers['location']]).toEqual([302, 'http://elsewhere.test/']);
  });

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])('may be a %s', async (method) => {
    await using harness = await createHarness();
    expect((await call(`${harness.url}/function/theirs`, { method })).status).toBe(200);
  });

  test('is 405 with any other method', async () => {
    await using harness = await createHarness();
    const answer = await call(`${harness.url}/function/theirs/a`, { method: 'PROPFIND' });
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']);
    expect((await call(`${harness.url}/function/ours`, { method: 'PROPFIND' })).status).toBe(200);
  });
});

describe('an error of the platform', () => {
  test.each([
    ['nobody', 'there is no function "nobody" in namespace "openfaas-fn"'],
    ['theirs.elsewhere', 'there is no function "theirs" in namespace "elsewhere"'],
    ['.openfaas-fn', 'there is no function "" in namespace "openfaas-fn"'],
  ])('about %s is 404 and names function and namespace, call and moment', async (name, message) => {
    await using harness = await createHarness();
    const answer = await call(`${harness.url}/function/${name}`);
    expect([answer.status, answer.headers['x-openfaas-internal']]).toEqual([404, 'proxy']);
    expect(answer.text).toContain(JSON.stringify(message).slice(1, -1));
    expect(answer.headers['x-call-id']).toMatch(UUID);
    expect(answer.headers['x-start-time']).toMatch(/^\d{13}000000$/);
  });

  test('met while a function is called is told from its answers by a header', async () => {
    await using harness = await createGatewayHarness({ serve: () => (_, response) => void response.destroy() });
    await harness.deploy('theirs', { openfaas: {} });
    const answer = await call(`${harness.url}/function/theirs`, { headers: { 'X-Call-Id': 'my-call-7' } });
    expect(answer.status).toBe(502);
    expect(answer.headers).toMatchObject({ 'x-openfaas-internal': 'proxy', 'x-call-id': 'my-call-7' });
    expect(answer.headers['x-start-time']).toMatch(/^\d{13}000000$/);
  });
});
