import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE, type ErrorBody, type FunctionSpecInput } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/gateway.ts';
import { startLoad } from '../harness/load.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

interface Deployed {
  readonly name: string;
  readonly namespace?: string;
  readonly spec?: Partial<FunctionSpecInput>;
}

async function deploy(server: TestServer, { name, namespace = DEFAULT_NAMESPACE, spec = {} }: Deployed) {
  const archive = execFileSync('tar', ['-C', path.join(ROOT, 'testing/fixtures/lab'), '-cf', '-', '.']);
  await server.client.namespaces.create(namespace);
  const { digest } = await server.client.code.upload(namespace, new Uint8Array(archive), 'tar');
  return server.client.functions.deploy({ namespace, name }, { spec: { runtime: 'node', ...spec }, code: digest });
}

interface Answer {
  readonly status: number;
  readonly code: string;
  /** Seconds in `Retry-After`. */
  readonly retryAfter: number;
  /** Calls the instance had at once at most while this one ran. */
  readonly most: number;
}

/** One call, on a connection of its own, so that calls are spread over the gateways. */
async function call(server: TestServer, name: string, rest = '/who'): Promise<Answer> {
  const response = await fetch(`${server.url}/function/${name}${rest}`, { headers: { connection: 'close' } });
  const body = (await response.json()) as Partial<ErrorBody> & { readonly most?: number };
  return {
    status: response.status,
    code: body.code ?? '',
    retryAfter: Number(response.headers.get('retry-after')),
    most: body.most ?? 0,
  };
}

const calls = (count: number, send: () => Promise<Answer>) => Promise.all(Array.from({ length: count }, send));
const passed = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200);
const refused = (answers: readonly Answer[]) => answers.filter(({ status }) => status !== 200);

describe.each([
  { front: 'one process', args: [] },
  { front: 'two gateways', args: ['--gateways', '2'] },
])('limits in $front', ({ args }) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ engine: 'process', args });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test('S4: a function has as many calls at once as it may, never more; the others are told 429 and when to come again', async () => {
    await deploy(server, { name: 'capped', spec: { concurrency: 50, limits: { concurrency: 5 } } });
    const answers = await calls(30, () => call(server, 'capped', '/alone?ms=400'));
    expect(passed(answers).length).toBe(5);
    expect(Math.max(...answers.map(({ most }) => most))).toBe(5);
    for (const { status, code, retryAfter } of refused(answers)) {
      expect([status, code, retryAfter]).toEqual([429, 'FUNCTION_LIMIT', 1]);
    }
    // The room of those that ended is there at once, on whichever gateway.
    expect(passed(await calls(5, () => call(server, 'capped', '/alone?ms=50'))).length).toBe(5);
  });

  test('the limit holds under load, and what it leaves is used', async () => {
    await deploy(server, { name: 'loaded', spec: { concurrency: 50, limits: { concurrency: 4 } } });
    let most = 0;
    let served = 0;
    const load = startLoad(async () => {
      const answer = await call(server, 'loaded', '/alone?ms=20');
      most = Math.max(most, answer.most);
      if (answer.status === 200) served += 1;
      else await sleep(5);
      return new Response('', { status: answer.status === 200 || answer.code === 'FUNCTION_LIMIT' ? 200 : 500 });
    }, 12);
    await sleep(1_500);
    const { failures } = await load.stop();
    expect([failures, most]).toEqual([[], 4]);
    expect(served).toBeGreaterThan(20);
  });

  test('a limit that is lowered under load holds as soon as the calls above it have ended', async () => {
    const namespace = 'team-l';
    await deploy(server, { namespace, name: 'lowered', spec: { concurrency: 50 } });
    let most = 0;
    const load = startLoad(async () => {
      const answer = await call(server, `lowered.${namespace}`, '/alone?ms=20');
      most = Math.max(most, answer.most);
      if (answer.status !== 200) await sleep(5);
      return new Response('', { status: answer.status === 200 || answer.code === 'NAMESPACE_LIMIT' ? 200 : 500 });
    }, 10);
    await eventually(() => most > 5);
    await server.client.namespaces.setLimits(namespace, { concurrency: 3 });
    await sleep(300);
    most = 0;
    await sleep(600);
    expect((await load.stop()).failures).toEqual([]);
    expect(most).toBe(3);
  });

  test('calls of a namespace count together, but for what a function has reserved; a raised limit holds at once', async () => {
    const namespace = 'team-a';
    await deploy(server, { namespace, name: 'plain', spec: { concurrency: 50 } });
    await deploy(server, { namespace, name: 'kept', spec: { concurrency: 50, limits: { reserved: 2 } } });
    await server.ebbOk(['namespace', 'limits', namespace, '--concurrency', '5']);
    const running = calls(10, () => call(server, `plain.${namespace}`, '/alone?ms=1200'));
    await sleep(300);
    const kept = await calls(4, () => call(server, `kept.${namespace}`, '/alone?ms=300'));
    expect([passed(kept).length, refused(kept)[0]?.code]).toEqual([2, 'NAMESPACE_LIMIT']);
    await server.client.namespaces.setLimits(namespace, { concurrency: 6 });
    expect(passed(await calls(1, () => call(server, `plain.${namespace}`))).length).toBe(1);
    const answers = await running;
    expect([passed(answers).length, refused(answers)[0]?.code]).toEqual([3, 'NAMESPACE_LIMIT']);
  });

  test('a namespace has its burst and then its rate; who comes too soon is told 429 and when to come again', async () => {
    const namespace = 'team-b';
    await deploy(server, { namespace, name: 'rated', spec: { concurrency: 50 } });
    await server.ebbOk(['namespace', 'limits', namespace, '--rate', '0.2/s', '--burst', '6']);
    const answers = await calls(20, () => call(server, `rated.${namespace}`));
    expect(passed(answers).length).toBe(6);
    const [late] = refused(answers);
    expect([late?.status, late?.code]).toEqual([429, 'RATE_LIMIT']);
    expect(late?.retryAfter).toBeGreaterThanOrEqual(3);
    expect(late?.retryAfter).toBeLessThanOrEqual(5);
    expect(await server.ebbOk(['namespace', 'list'])).toContain('0.2/s, bursts of 6');
    await server.ebbOk(['namespace', 'limits', namespace, '--rate', 'none']);
    expect(passed(await calls(20, () => call(server, `rated.${namespace}`))).length).toBe(20);
  });

  test('a rate holds over all gateways together, but for the few calls that each may draw ahead', async () => {
    const namespace = 'team-d';
    await deploy(server, { namespace, name: 'steady', spec: { concurrency: 50 } });
    await server.client.namespaces.setLimits(namespace, { rate: 100, burst: 10 });
    const begunAt = performance.now();
    let served = 0;
    let late = 0;
    const load = startLoad(async () => {
      const { status } = await call(server, `steady.${namespace}`);
      if (status === 200) served += 1;
      else late += 1;
      return new Response('', { status: status === 200 || status === 429 ? 200 : 500 });
    }, 8);
    await sleep(1_000);
    const { failures } = await load.stop();
    const most = 10 + (performance.now() - begunAt) / 10 + 2;
    expect([failures, late > 0]).toEqual([[], true]);
    expect(served).toBeGreaterThan(10);
    expect(served).toBeLessThanOrEqual(most);
  });

  test('what is reserved beyond what there is is refused', async () => {
    await server.client.namespaces.create('team-c');
    await server.client.namespaces.setLimits('team-c', { concurrency: 3 });
    const spec = { limits: { reserved: 4 } };
    await expect(deploy(server, { namespace: 'team-c', name: 'greedy', spec })).rejects.toMatchObject({
      code: 'LIMITS_INVALID',
    });
    await expect(server.client.namespaces.setLimits('team-a', { concurrency: 1 })).rejects.toMatchObject({
      code: 'LIMITS_INVALID',
    });
  });
});

describe.each([{ gateways: '0' }, { gateways: '2' }])('a full host with $gateways gateways', ({ gateways }) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({
      engine: 'process',
      args: ['--max-instances', '4', '--pool-size', '0', '--gateways', gateways],
    });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test('a namespace that is flooded leaves another one its share: its calls are all served, by an instance it keeps', async () => {
    const spec = { concurrency: 1, scale: { max: 4 } };
    await deploy(server, { namespace: 'loud', name: 'flood', spec });
    await deploy(server, { namespace: 'quiet', name: 'calm', spec });
    const flood = startLoad(() => fetch(`${server.url}/function/flood.loud/slow?ms=40`), 60);
    const instances = async () =>
      (await server.client.functions.instances({ namespace: 'loud', name: 'flood' })).length;
    await eventually(async () => (await instances()) === 4);
    for (let count = 0; count < 20; count += 1) {
      expect((await call(server, 'calm.quiet')).status).toBe(200);
      await sleep(20);
    }
    const { ok, failures } = await flood.stop();
    expect([failures, ok > 0]).toEqual([[], true]);
    // Between its calls its instance was not given to the flood, which always wants more.
    expect((await server.client.functions.coldStarts({ namespace: 'quiet', name: 'calm' })).length).toBe(1);
  });
});
