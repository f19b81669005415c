import { createHash, randomBytes } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE, type ErrorBody } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/gateway.ts';
import { deployLab } from '../harness/lab.ts';
import { canMount, startTestServer, type TestServer } from '../harness/server.ts';
import { startSubmits, submit } from '../harness/submit.ts';
import { openWire } from '../harness/talk.ts';

/** Keeps calls waiting, so that a test finds them as they were accepted. */
const LATER = { 'x-ebb-delay': '1h' };

async function errorOf(answer: { readonly text: string }): Promise<ErrorBody> {
  return JSON.parse(answer.text) as ErrorBody;
}

/** The ids of all calls a server has, whatever became of them. */
async function idsOf(server: TestServer): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await server.client.invocations.list({ limit: 1000, cursor });
    for (const { id } of page.invocations) ids.add(id);
    cursor = page.next;
  } while (cursor !== undefined);
  return ids;
}

async function countCalls(server: TestServer): Promise<number> {
  return (await idsOf(server)).size;
}

describe('a server that accepts calls to be made later', () => {
  let server: TestServer;
  beforeAll(async () => {
    const env = { EBB_POOL_SIZE: '0', EBB_ASYNC_MAX_PAYLOAD: '128Mi', EBB_ASYNC_MAX_QUEUED: '15000' };
    server = await startTestServer({ engine: 'process', env });
    await deployLab(server, 'lab');
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('A1: answers 202 with an id, which can be asked about, and an empty body', async () => {
    const answer = await submit(server, 'lab/echo?a=1', {
      headers: { ...LATER, 'x-call-id': 'forged', 'x-ebb-key': 'k' },
    });
    expect(answer).toMatchObject({ status: 202, text: '', headers: { location: `/v1/invocations/${answer.id}` } });
    expect(answer.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(await server.client.invocations.get(answer.id)).toMatchObject({
      id: answer.id,
      namespace: DEFAULT_NAMESPACE,
      target: 'lab',
      state: 'queued',
      method: 'POST',
      path: '/echo?a=1',
      key: 'k',
      sizeBytes: 5,
      attempts: [],
    });
  });

  test('says what is wrong with a call and accepts nothing', async () => {
    const before = await countCalls(server);
    const cases: readonly [path: string, status: number, code: string, headers?: Record<string, string>][] = [
      ['gone', 404, 'FUNCTION_NOT_FOUND'],
      ['lab.other', 404, 'FUNCTION_NOT_FOUND'],
      ['lab:beta', 404, 'ALIAS_NOT_FOUND'],
      ['lab@9', 404, 'VERSION_NOT_FOUND'],
      ['lab', 404, 'ALIAS_NOT_FOUND', { 'x-ebb-alias': 'beta' }],
      ['', 400, 'BAD_PATH'],
      ['lab', 400, 'INVALID_REQUEST', { 'x-ebb-delay': 'soon' }],
      ['lab', 400, 'INVALID_REQUEST', { 'x-ebb-run-at': 'tomorrow' }],
      ['lab', 400, 'INVALID_REQUEST', { 'x-ebb-priority': '10' }],
      ['lab', 400, 'INVALID_REQUEST', { 'x-ebb-max-age': '1ms' }],
      ['lab', 400, 'INVALID_REQUEST', { 'x-callback-url': 'gopher://example.com' }],
      ['lab', 400, 'DESTINATION_REFUSED', { 'x-callback-url': 'http://169.254.169.254/latest' }],
      ['lab', 400, 'INVALID_REQUEST', { 'idempotency-key': '' }],
    ];
    for (const [where, status, code, headers] of cases) {
      const answer = await submit(server, where, headers ? { headers } : {});
      expect({ where, status: answer.status, code: (await errorOf(answer)).code }).toEqual({ where, status, code });
    }
    const get = await submit(server, 'lab', { method: 'GET', body: '' });
    expect(get).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    expect(await countCalls(server)).toBe(before);
  });

  test('33: one idempotency key is one call; another body under it is refused', async () => {
    const headers = { ...LATER, 'idempotency-key': 'order-7' };
    const answers = await Promise.all(Array.from({ length: 20 }, () => submit(server, 'lab', { headers })));
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(answers.filter((one) => one.headers['idempotent-replayed'] === 'true')).toHaveLength(19);
    const other = await submit(server, 'lab', { headers, body: 'something else' });
    expect(other.status).toBe(422);
    expect((await errorOf(other)).code).toBe('IDEMPOTENCY_MISMATCH');
  });

  test.each([1, 65_536, 65_537, 5_000_000, 100 * 2 ** 20])(
    'a payload of %i bytes is kept as it was sent',
    async (size) => {
      const body = randomBytes(size);
      const { status, id } = await submit(server, 'lab', { headers: LATER, body });
      expect(status).toBe(202);
      const kept = await server.client.invocations.payload(id);
      expect(kept.sizeBytes).toBe(size);
      const hash = createHash('sha256');
      for await (const chunk of kept.body.body ?? []) hash.update(chunk);
      expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'));
    },
  );

  test('a body that is too large is refused before it has come, where its length is said', async () => {
    const { port } = new URL(server.url);
    const said = openWire(
      Number(port),
      'POST /async-function/lab HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n',
    );
    await eventually(() => said.text().includes('PAYLOAD_TOO_LARGE'));
    said.socket.destroy();
  });

  test('who leaves in the middle of a body has submitted nothing; who is slow has', async () => {
    const before = await countCalls(server);
    const port = Number(new URL(server.url).port);
    const head = (length: number) =>
      `POST /async-function/lab HTTP/1.1\r\nHost: a\r\nX-Ebb-Delay: 1h\r\nContent-Length: ${length}\r\n\r\n`;
    const left = openWire(port, head(1_000_000));
    left.socket.write('x'.repeat(500_000));
    await sleep(100);
    left.socket.destroy();
    const slow = openWire(port, head(100_000));
    for (let sent = 0; sent < 10; sent += 1) {
      slow.socket.write('x'.repeat(10_000));
      await sleep(50);
    }
    await eventually(() => slow.text().includes('202 Accepted'));
    slow.socket.destroy();
    expect(await countCalls(server)).toBe(before + 1);
    const files = await readdir(path.join(server.dataDir, 'data/payloads'));
    expect(files.filter((name) => !/^[0-9a-f]{64}$/.test(name))).toEqual([]);
  });

  test('a function that asks for credentials asks whoever calls it later for them too', async () => {
    const { client } = server;
    const lab = await client.functions.get({ namespace: DEFAULT_NAMESPACE, name: 'lab' });
    const closed = { namespace: DEFAULT_NAMESPACE, name: 'closed' };
    await client.functions.deploy(
      closed,
      { spec: { runtime: 'node', auth: 'required' }, code: lab.code },
      { probe: false },
    );
    expect((await submit(server, 'closed', { headers: LATER })).status).toBe(401);
    expect((await submit(server, 'closed@7', { headers: LATER })).status).toBe(401);
    const { id } = await client.invocations.send(closed, { authenticate: true, delay: '1h', body: 'hello' });
    expect((await client.invocations.get(id)).state).toBe('queued');
  });

  test('takes 10,000 calls in one request, each by itself; beyond what a namespace may have they are refused', async () => {
    const { invocations } = server.client;
    const calls = Array.from({ length: 10_000 }, (_, i) => ({
      function: i === 5_000 ? 'gone' : 'lab',
      json: { i },
      delay: '1h',
    }));
    const batch = await invocations.submitAll(calls);
    expect(batch.calls).toHaveLength(10_000);
    expect(batch.calls[5_000]).toMatchObject({ error: { code: 'FUNCTION_NOT_FOUND' } });
    const ids = batch.calls.flatMap((one) => ('id' in one ? [one.id] : []));
    expect(new Set(ids).size).toBe(9_999);
    const last = await invocations.payload(ids.at(-1) ?? '');
    expect([last.contentType, await last.body.text()]).toEqual(['application/json', '{"i":9999}']);

    const more = await invocations.submitAll(calls);
    const refused = more.calls.filter((one) => 'error' in one && one.error.code === 'ASYNC_QUEUE_FULL');
    expect(refused.length).toBeGreaterThan(4_000);
    const answer = await submit(server, 'lab', { headers: LATER });
    expect(answer).toMatchObject({ status: 429, headers: { 'retry-after': '5' } });
    const cancelled = await invocations.cancel(ids[0] ?? '');
    expect(cancelled).toMatchObject({ state: 'cancelled' });
    expect((await submit(server, 'lab', { headers: LATER })).status).toBe(202);
  });

  test('a submit that is not what it must be is refused in a sentence', async () => {
    const send = async (body: string, type = 'application/json') => {
      const response = await fetch(`${server.url}/v1/invocations`, {
        method: 'POST',
        headers: { authorization: `Bearer ${server.file.token}`, 'content-type': type },
        body,
      });
      return { status: response.status, message: ((await response.json()) as ErrorBody).message };
    };
    expect(await send('{"function":')).toMatchObject({
      status: 400,
      message: expect.stringContaining('not valid JSON'),
    });
    expect(await send('{}')).toMatchObject({ status: 400, message: expect.stringContaining('"function" is missing') });
    expect(await send('{"calls":[]}')).toMatchObject({ status: 400, message: expect.stringContaining('"calls"') });
    expect(await send('{"function":"lab","body":"a","json":1}')).toMatchObject({ status: 400 });
    expect(await send('{"function":"lab","headers":{"X-Ebb-Attempt":"9"}}')).toMatchObject({
      status: 400,
      message: expect.stringContaining('only the platform'),
    });
    expect(await send('x', 'text/plain')).toMatchObject({ status: 415 });
    const anonymous = await fetch(`${server.url}/v1/invocations`, { method: 'POST', body: '{}' });
    expect(anonymous.status).toBe(401);
  });
});

test('2: what was answered with 202 is there after kill -9, and nothing that was not', async () => {
  await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0' } });
  await deployLab(server, 'lab');
  const big = randomBytes(200_000);
  const [small, large] = [
    startSubmits(server, 'lab', 8, { headers: LATER }),
    startSubmits(server, 'lab', 2, { headers: LATER, body: big }),
  ];
  await sleep(500);
  await server.kill();
  const submits = await Promise.all([small.stop(), large.stop()]);
  const ids = submits.flatMap((one) => one.ids);
  expect(ids.length).toBeGreaterThan(20);
  await server.start();
  const found = await idsOf(server);
  expect(ids.filter((id) => !found.has(id))).toEqual([]);
  // One more for each connection: accepted, but nobody was there any more to be told.
  expect(found.size).toBeLessThanOrEqual(ids.length + 10);
  const kept = await server.client.invocations.payload(submits[1]?.ids.at(-1) ?? '');
  expect(big.equals(Buffer.from(await kept.body.arrayBuffer()))).toBe(true);
});

test.skipIf(!canMount())(
  '7: on a full disk nothing is accepted falsely, calls go on, and it is sound once there is space',
  async () => {
    await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0' }, dataSize: '24m' });
    await deployLab(server, 'lab');
    const first = await submit(server, 'lab', { headers: LATER });
    const filler = path.join(server.dataDir, 'data/filler');
    await writeFile(filler, Buffer.alloc(32 * 2 ** 20)).catch(() => {});
    const accepted = [first.id];
    const statuses = new Set<number>();
    for (const body of [randomBytes(300_000), ...Array.from({ length: 60 }, () => randomBytes(60_000))]) {
      const { status, id } = await submit(server, 'lab', { headers: LATER, body });
      statuses.add(status);
      if (status === 202) accepted.push(id);
    }
    expect([...statuses].filter((status) => status !== 202)).toEqual([507]);
    const batch = await server.client.invocations.submitAll([
      { function: 'lab', body: 'x'.repeat(60_000), delay: '1h' },
    ]);
    expect(batch.calls[0]).toMatchObject({ error: { code: 'STORAGE_FULL' } });
    expect((await fetch(server.functionUrl('lab', '/who'))).status).toBe(200);
    expect((await server.client.invocations.get(first.id)).state).toBe('queued');
    expect(await readdir(path.join(server.dataDir, 'data/payloads'))).toEqual([]);

    await rm(filler);
    const after = await submit(server, 'lab', { headers: LATER, body: randomBytes(300_000) });
    expect(after.status).toBe(202);
    await server.kill();
    await server.start();
    for (const id of [...accepted, after.id]) expect((await server.client.invocations.get(id)).state).toBe('queued');
    expect(await countCalls(server)).toBe(accepted.length + 1);
  },
);
