import type { RequestListener } from 'node:http';
import type { ErrorBody } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually, type GatewayHarness } from '../../../../testing/harness/gateway.ts';
import { createMemoryHost } from '../engines/memory/memory-engine.ts';

const ok: RequestListener = (_request, response) => response.end('ok');
const spares = async ({ engine }: GatewayHarness) => (await engine.list()).filter(({ spare }) => spare);
const serving = async ({ engine }: GatewayHarness) => (await engine.list()).filter(({ spare }) => !spare);
const call = (harness: GatewayHarness, name: string) => fetch(`${harness.url}/function/${name}`);
const filled = (harness: GatewayHarness, count: number) => eventually(() => harness.spares.ready === count);

describe('warm pool', () => {
  test('a start takes a spare, and the pool fills up again', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, poolSize: 2 });
    await filled(harness, 2);
    const ids = (await spares(harness)).map(({ id }) => id);
    await harness.deploy('f');
    expect((await call(harness, 'f')).status).toBe(200);
    const [instance] = await serving(harness);
    expect(ids).toContain(instance?.id);
    expect(instance?.labels).toMatchObject({ function: 'f', version: 1 });
    await filled(harness, 2);
    expect(harness.engine.createCount()).toBe(3);
  });

  test('S3: many calls at once take what is ready and make no more than max', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, poolSize: 2 });
    await filled(harness, 2);
    await harness.deploy('burst', { concurrency: 10, scale: { max: 20 } });
    const answers = await Promise.all(Array.from({ length: 200 }, () => call(harness, 'burst')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    await filled(harness, 2);
    expect((await serving(harness)).length).toBeLessThanOrEqual(20);
    expect(harness.engine.createCount()).toBeLessThanOrEqual(22);
  });

  test('a version whose shape is another gets a spare of its own shape the next time', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, poolSize: 1 });
    await filled(harness, 1);
    await harness.deploy('big', { memory: '1Gi' });
    await call(harness, 'big');
    expect((await serving(harness)).map(({ id }) => id)).not.toContainEqual(expect.stringMatching(/^spare-/));
    await filled(harness, 2);
    await harness.deploy('also-big', { memory: '1Gi' });
    await call(harness, 'also-big');
    expect((await serving(harness)).map(({ id }) => id)).toContainEqual(expect.stringMatching(/^spare-/));
  });

  test('a deploy that finds no spare makes one, so that its code is compiled for later starts', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, poolSize: 1, faults: { createDelayMs: 50 } });
    await harness.deploy('first', {}, { probe: true });
    expect((await serving(harness)).map(({ id }) => id)).toEqual([expect.stringMatching(/^spare-/)]);
  });

  test('a spare that does not take its code costs nobody a call', async () => {
    const faults = { failingSpecialises: 1 };
    await using harness = await createGatewayHarness({ serve: () => ok, poolSize: 1, faults });
    await filled(harness, 1);
    const [spare] = await spares(harness);
    await harness.deploy('f');
    expect((await call(harness, 'f')).status).toBe(200);
    expect((await serving(harness)).map(({ id }) => id)).toEqual([expect.stringMatching(/^f-1-/)]);
    await eventually(async () => (await harness.engine.list()).every(({ id }) => id !== spare?.id));
  });

  test('a spare that ends while it waits is replaced', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, poolSize: 1 });
    await filled(harness, 1);
    const [spare] = await spares(harness);
    harness.engine.crash(spare?.id ?? '');
    await eventually(() => harness.spares.ready === 0);
    await filled(harness, 1);
    expect((await spares(harness)).map(({ id }) => id)).not.toContain(spare?.id);
  });

  test('case 40: a handler that fails uses two spares, not the pool, and no failed one comes back', async () => {
    const serve = (_spec: unknown, controls: { exit(): void; log(text: string): void }): RequestListener => {
      controls.log('no such module');
      setImmediate(() => controls.exit());
      return ok;
    };
    await using harness = await createGatewayHarness({ serve, poolSize: 2, faults: { readyDelayMs: 50 } });
    await filled(harness, 2);
    const ids = (await spares(harness)).map(({ id }) => id);
    await harness.deploy('broken');
    const answers = await Promise.all(Array.from({ length: 5 }, () => call(harness, 'broken')));
    const codes = await Promise.all(answers.map(async (answer) => ((await answer.json()) as ErrorBody).code));
    expect(new Set(codes)).toEqual(new Set(['START_FAILED']));
    expect(harness.lines.filter(({ text }) => text === 'no such module')).toHaveLength(2);
    await filled(harness, 2);
    for (const { id } of await harness.engine.list()) expect(ids).not.toContain(id);
  });

  test('versions come before spares where the host has no room for both', async () => {
    const held: (() => void)[] = [];
    const serve = (): RequestListener => (_request, response) => void held.push(() => response.end('ok'));
    await using harness = await createGatewayHarness({ serve, poolSize: 2, maxInstances: 3 });
    await filled(harness, 2);
    await harness.deploy('wide', { concurrency: 1, scale: { max: 3 } });
    const calls = [1, 2, 3].map(() => call(harness, 'wide'));
    await eventually(() => held.length === 3);
    await eventually(async () => (await harness.engine.list()).length === 3);
    for (const answer of held) answer();
    await Promise.all(calls);
  });

  test('and before starts that cannot use one', async () => {
    const held: (() => void)[] = [];
    const serve = (): RequestListener => (_request, response) => void held.push(() => response.end('ok'));
    await using harness = await createGatewayHarness({ serve, poolSize: 2, maxInstances: 3 });
    await filled(harness, 2);
    await harness.deploy('image', { image: 'app', concurrency: 1, scale: { max: 3 } }, { probe: false });
    const calls = [1, 2, 3].map(() => call(harness, 'image'));
    await eventually(() => held.length === 3);
    await eventually(async () => (await harness.engine.list()).length === 3);
    for (const answer of held) answer();
    await Promise.all(calls);
  });

  test('E1: spares of a killed server are stopped, and the next keeps its own', async () => {
    const host = createMemoryHost();
    const first = await createGatewayHarness({ serve: () => ok, host, poolSize: 2 });
    await filled(first, 2);
    await first.deploy('kept');
    await call(first, 'kept');
    await filled(first, 2);
    const ids = (await spares(first)).map(({ id }) => id);
    await first.kill();
    await using second = await createGatewayHarness({ serve: () => ok, host, store: first.store });
    expect((await call(second, 'kept')).status).toBe(200);
    await eventually(async () => (await second.engine.list()).every(({ id }) => !ids.includes(id)));
    expect((await serving(second)).map(({ id }) => id)).toEqual([expect.stringMatching(/^spare-/)]);
  });

  test('E1: a spare whose server was killed before it had its code serves nobody', async () => {
    const host = createMemoryHost();
    const faults = { readyDelayMs: 0 };
    const first = await createGatewayHarness({ serve: () => ok, host, poolSize: 1, faults });
    await filled(first, 1);
    await first.deploy('half');
    faults.readyDelayMs = 60_000;
    void call(first, 'half').catch(() => {});
    await eventually(async () => (await serving(first)).length === 1);
    const [half] = await serving(first);
    await first.kill();
    await using second = await createGatewayHarness({ serve: () => ok, host, store: first.store });
    expect((await call(second, 'half')).status).toBe(200);
    expect((await serving(second)).map(({ id }) => id)).not.toContain(half?.id);
  });

  test('E1: a spare that the engine lost without a word is replaced', async () => {
    const host = createMemoryHost();
    await using harness = await createGatewayHarness({ serve: () => ok, host, poolSize: 1 });
    await filled(harness, 1);
    const [spare] = await spares(harness);
    host.instances.clear();
    await harness.pools.reconcile();
    await filled(harness, 1);
    expect((await spares(harness)).map(({ id }) => id)).not.toContain(spare?.id);
  });

  test('closing leaves no spare', async () => {
    const host = createMemoryHost();
    const harness = await createGatewayHarness({ serve: () => ok, host, poolSize: 3 });
    await eventually(() => harness.spares.ready > 0);
    await harness[Symbol.asyncDispose]();
    expect([...host.instances]).toEqual([]);
  });
});
