import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type InvocationResource, type Outcome, outcomeSchema } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../harness/server.ts';

/** Answers what the body asks for, and 500 until it was called as often as `failures` says. */
const CODE = `
const counts = new Map();
export default {
  async fetch(request) {
    const id = request.headers.get('x-call-id');
    const count = (counts.get(id) ?? 0) + 1;
    counts.set(id, count);
    const text = await request.text();
    const { failures = 0, status = 200 } = text.startsWith('{') ? JSON.parse(text) : {};
    console.log('attempt ' + request.headers.get('x-ebb-attempt') + ' of ' + id);
    if (count <= failures) return new Response('not yet', { status: 500 });
    return new Response(process.env.PREFIX + text, { status, headers: { 'x-own': 'yes', 'set-cookie': 'a=b' } });
  },
};
`;

interface Post {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe('outcomes', () => {
  let server: TestServer;
  let receiver: Server;
  let hooks: string;
  let cwd: string;
  const posts: Post[] = [];
  /** What the receiver answers next; 200 when there is nothing. */
  const answers: number[] = [];

  beforeAll(async () => {
    receiver = createServer((request, response) => {
      void buffer(request).then((body) => {
        posts.push({ headers: request.headers, body: body.toString() });
        response.writeHead(answers.shift() ?? 200).end('thanks');
      });
    }).listen(0, '127.0.0.2');
    await once(receiver, 'listening');
    hooks = `http://127.0.0.2:${(receiver.address() as AddressInfo).port}`;
    server = await startTestServer({
      engine: 'process',
      env: { EBB_POOL_SIZE: '0', EBB_CALLBACK_ALLOW: '127.0.0.2' },
    });
    cwd = await mkdtemp(path.join(tmpdir(), 'ebb-outcomes-'));
    await mkdir(path.join(cwd, 'code'));
    await writeFile(path.join(cwd, 'code/index.js'), CODE);
    const retry = '{ attempts: 2, minWait: 10ms, maxWait: 20ms }';
    await writeFile(
      path.join(cwd, 'ebb.yaml'),
      `functions:
  work:
    runtime: node
    code: ./code
    env: { PREFIX: "" }
    async:
      retry: ${retry}
      onSuccess: [{ function: after }, { queue: done }]
      onFailure: [{ queue: failed }, { url: "${hooks}/failed" }]
  after: { runtime: node, code: ./code, env: { PREFIX: "" } }
`,
    );
    await server.ebbOk(['deploy'], { cwd });
  }, 60_000);

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    receiver?.close().closeAllConnections();
    if (cwd !== undefined) await rm(cwd, { recursive: true, force: true });
  });

  const until = async <T>(get: () => T | undefined | Promise<T | undefined>): Promise<T> => {
    for (let tries = 0; tries < 500; tries += 1) {
      const found = await get();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`it did not come; the server printed: ${server.output()}`);
  };
  const postFor = (id: string) => until(() => posts.find(({ headers }) => headers['x-call-id'] === id));
  const submit = async (body: object, more: readonly string[] = []) =>
    (await server.ebbOk(['invoke', 'work', '--async', '--data', JSON.stringify(body), ...more])).trim();
  const json = async <T>(...args: readonly string[]) => JSON.parse(await server.ebbOk([...args, '--json'])) as T;
  const fail = async (): Promise<string> => {
    const id = await submit({ failures: 9 });
    const { code } = await server.ebb(['invocations', 'wait', id]);
    expect(code).toBe(1);
    return id;
  };

  test('success is sent to a function and to a queue, with what was called and answered', async () => {
    const id = await submit({ status: 201 });
    expect(await server.ebbOk(['invocations', 'wait', id])).toBe('{"status":201}');
    const next = await until(async () => {
      const { invocations } = await server.client.invocations.list({ function: 'after', state: 'succeeded' });
      return invocations.find(({ origin }) => origin?.of === id);
    });
    expect(next).toMatchObject({ id: `${id}.s0`, origin: { kind: 'success' } });
    const seen = outcomeSchema.parse(JSON.parse(await server.ebbOk(['invocations', 'result', next.id])));
    expect(seen).toMatchObject({ id, function: 'work', state: 'succeeded', status: 201, attempts: 1 });
    expect(Buffer.from(seen.result?.base64 ?? '', 'base64').toString()).toBe('{"status":201}');

    expect(await server.ebbOk(['queue', 'list'])).toMatch(/^done +1 +0/m);
    const [line = ''] = (await server.ebbOk(['queue', 'read', 'done', '--keep'])).trim().split('\n');
    expect((JSON.parse(line) as Outcome).id).toBe(id);
    expect(await json<unknown[]>('queue', 'read', 'done')).toMatchObject([{ id: `${id}.s1` }]);
    expect(await server.ebbOk(['queue', 'list'])).toContain('no queue holds anything');
  });

  test('a callback carries the answer, signed, and is posted again after an error with the same id (case 28, A3)', async () => {
    answers.push(503);
    const id = await submit({ failures: 1 }, ['--callback', `${hooks}/hook`]);
    await until(() => (posts.filter(({ headers }) => headers['x-call-id'] === id).length === 2 ? true : undefined));
    const [first, second] = posts.filter(({ headers }) => headers['x-call-id'] === id);
    expect(second?.headers).toMatchObject({
      'x-ebb-delivery-id': `${id}.c0`,
      'x-ebb-attempt': '2',
      'x-function-name': 'work',
      'x-function-status': '200',
      'x-retry': '1',
      'x-retry-max': '2',
      'x-own': 'yes',
    });
    expect(second?.headers).not.toHaveProperty('set-cookie');
    expect(second?.body).toBe('{"failures":1}');
    expect(first?.headers['x-ebb-delivery-id']).toBe(second?.headers['x-ebb-delivery-id']);

    const key = (await server.ebbOk(['namespace', 'signing-key', 'show'])).trim();
    const signature = String(second?.headers['x-ebb-signature']);
    const [, seconds = ''] = /^t=(\d+),v1=/.exec(signature) ?? [];
    const digest = createHash('sha256')
      .update(second?.body ?? '')
      .digest('hex');
    const wanted = createHmac('sha256', key).update(`${seconds}.${id}.c0.${digest}`).digest();
    expect(timingSafeEqual(Buffer.from(signature.split('v1=')[1] ?? '', 'hex'), wanted)).toBe(true);
  });

  test('case 27: an address that is not allowed is refused when the call is handed in', async () => {
    for (const url of [
      'http://169.254.169.254/latest',
      'http://10.0.0.1/',
      'http://127.1/',
      'http://u:p@example.com/',
    ]) {
      const { code, stderr } = await server.ebb(['invoke', 'work', '--async', '--data', '{}', '--callback', url]);
      expect([code, stderr]).toEqual([2, expect.stringContaining('DESTINATION_REFUSED') as string]);
    }
  });

  test('case 27: a name that leads to a private address is refused when it is posted to, for good', async () => {
    const id = await submit({}, ['--callback', `http://localhost:${new URL(hooks).port}/hook`]);
    const letter = await until(async () => {
      const { invocations } = await server.client.deadLetters.list({ reason: 'refused' });
      return invocations.find(({ origin }) => origin?.of === id);
    });
    expect(letter).toMatchObject({ target: expect.stringMatching(/^url:localhost/) as string });
  });

  test('a call that fails ends in the dead letters, its outcome is sent on, and redriven it succeeds', async () => {
    const id = await fail();
    const post = await postFor(id);
    expect(outcomeSchema.parse(JSON.parse(post.body))).toMatchObject({
      id,
      state: 'dead',
      reason: 'attempts',
      attempts: 2,
    });
    expect(await json<InvocationResource>('dead-letters', 'show', id)).toMatchObject({
      dead: { reason: 'attempts' },
      attempts: [
        { number: 1, status: 500 },
        { number: 2, status: 500 },
      ],
    });
    expect(await server.ebbOk(['dead-letters', 'list', '--function', 'work'])).toContain(id);
    const redriven = await json<{ calls: { as: string }[] }>('dead-letters', 'redrive', id);
    const again = redriven.calls[0]?.as ?? '';
    // Still failing: the same payload, under a new id, that says where it came from.
    expect((await server.ebb(['invocations', 'wait', again])).code).toBe(1);
    expect(await json<InvocationResource>('invocations', 'show', again)).toMatchObject({
      state: 'dead',
      origin: { kind: 'redrive', of: id },
    });
    // Of several ids those that are unknown are named, and the others done.
    const missed = await server.ebb(['dead-letters', 'redrive', again, 'nobody']);
    expect([missed.code, missed.stdout.toString(), missed.stderr]).toEqual([
      3,
      expect.stringContaining(`${again} is queued anew as`),
      expect.stringContaining('no dead letter has the id nobody;'),
    ]);
    expect((await server.ebb(['dead-letters', 'purge', 'nobody', '--yes'])).code).toBe(3);
    const last = /queued anew as (\S+)/.exec(missed.stdout.toString())?.[1] ?? '';
    await server.ebb(['invocations', 'wait', last]);
    const moved = await json<{ calls: { as: string }[] }>('dead-letters', 'redrive', last, '--to', 'after');
    expect((await server.ebb(['invocations', 'wait', moved.calls[0]?.as ?? ''])).code).toBe(1);
    expect(await json<InvocationResource>('invocations', 'show', moved.calls[0]?.as ?? '')).toMatchObject({
      target: 'after',
      origin: { kind: 'redrive', of: last },
    });
    expect((await server.ebb(['dead-letters', 'show', last])).code).toBe(3);
    expect((await server.ebb(['dead-letters', 'redrive'])).code).toBe(2);
    expect((await server.ebb(['dead-letters', 'purge', '--all'])).code).toBe(2);
    await server.ebbOk(['dead-letters', 'purge', '--function', 'work', '--yes']);
    expect(await json<{ invocations: unknown[] }>('dead-letters', 'list', '--function', 'work')).toEqual({
      invocations: [],
    });
  });

  test('a call that failed is captured, and run again there and here', async () => {
    const id = await fail();
    const file = path.join(cwd, 'failed.json');
    await server.ebbOk(['invocations', 'capture', id, '-o', file]);
    const capture = JSON.parse(await readFile(file, 'utf8')) as { request: { bodyBase64: string } };
    expect(Buffer.from(capture.request.bodyBase64, 'base64').toString()).toBe('{"failures":9}');
    const there = await server.ebb(['invoke', '--replay', file]);
    expect([there.code, there.stdout.toString()]).toEqual([1, 'not yet']);
    // The code here has been mended meanwhile.
    const mended = path.join(cwd, 'mended');
    await mkdir(mended);
    await writeFile(
      path.join(mended, 'index.js'),
      'export default { async fetch(r) { console.log("got it"); return new Response("mended " + await r.text()); } };\n',
    );
    const here = await server.ebb(['invoke', '--replay', file, '--local', mended]);
    expect([here.code, here.stdout.toString()]).toEqual([0, 'mended {"failures":9}']);
    expect(here.stderr).toContain('| got it');
  }, 20_000);

  test('calls are listed, replayed, cancelled, and their logs shown', async () => {
    const id = await submit({ status: 202 }, ['--wait']).then(async () => {
      const { invocations } = await server.client.invocations.list({ function: 'work', state: 'succeeded', limit: 1 });
      return invocations[0]?.id ?? '';
    });
    expect(await server.ebbOk(['invocations', 'logs', id])).toContain(`attempt 1 of ${id}`);
    expect(await server.ebbOk(['invocations', 'replay', id, '--wait'])).toBe('{"status":202}');
    const waiting = await submit({}, ['--delay', '1h', '--key', 'k']);
    expect(await server.ebbOk(['invocations', 'list', '--state', 'queued', '--key', 'k'])).toContain(waiting);
    expect((await server.ebb(['invocations', 'wait', waiting, '--for', '10ms'])).code).toBe(5);
    await server.ebbOk(['invocations', 'cancel', waiting]);
    expect(await server.ebbOk(['invocations', 'show', waiting])).toContain('cancelled');
  });
});
