import { setTimeout as sleep } from 'node:timers/promises';
import { aliasSpecSchema, functionSpecSchema, LIVE_ALIAS, rolloutSchema, type RolloutSpecInput } from '@ebb/contract';
import { afterEach, describe, expect, test } from 'vitest';
import { asEbbError } from '../core/errors.ts';
import { createLogger } from '../core/logger.ts';
import type { Rollouts } from '../core/ports.ts';
import { createFunctionRegistry } from '../registry/function-registry.ts';
import type { KeyValue } from '../store/key-value.ts';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';
import { createRollouts, type RolloutEngine } from './create-rollouts.ts';
import { withoutRollouts } from './without-rollouts.ts';

const CANARY: RolloutSpecInput = {
  strategy: 'canary',
  steps: [{ weight: 20, pause: '10s' }],
  bake: '10s',
  samples: 10,
};
const [NS, NAME] = ['openfaas-fn', 'web'];
const LOOKS_MS = 2;

/** A server as far as rollouts go: a real registry over a store, a clock and pools a test sets. */
async function startServer(store: KeyValue) {
  const time = { now: 0 };
  const pools = new Map<number, { ready: number; held: number; starts: { made: number; failed: number } }>();
  const registry = await createFunctionRegistry({
    store,
    namespaces: { get: (name) => ({ name, id: 1, createdAt: '' }) },
    secrets: { has: () => Promise.resolve(true) },
    code: { has: () => true },
    gate: {
      admit: () => Promise.resolve({}),
      prove: () => Promise.resolve(),
      warm: () => Promise.resolve(),
      discard: () => Promise.resolve(),
    },
    clock: { now: () => time.now, monotonic: () => time.now },
  });
  const poolOf = (version: number) => {
    const pool = pools.get(version) ?? { ready: 1, held: 0, starts: { made: 0, failed: 0 } };
    pools.set(version, pool);
    return pool;
  };
  const rollouts = createRollouts({
    registry,
    store,
    poolOf: ({ version }) => {
      const pool = poolOf(version);
      return {
        ready: pool.ready,
        starts: pool.starts,
        hold: (count) => {
          pool.held = count;
        },
      };
    },
    takeCounted: () => [],
    clock: { now: () => time.now, monotonic: () => time.now },
    logger: createLogger('silent'),
    everyMs: LOOKS_MS,
  });
  await rollouts.start();
  return {
    registry,
    rollouts,
    time,
    poolOf,
    weights: () =>
      registry.resolve(NS, NAME)?.aliases.find(({ name }) => name === LIVE_ALIAS)?.spec.versions ?? undefined,
    deploy: (rollout?: RolloutSpecInput) => deploy(rollouts, rollout),
    current: async () => (await rollouts.list(NS, NAME))[0],
  };
}

type Server = Awaited<ReturnType<typeof startServer>>;

function deploy(rollouts: Rollouts, rollout?: RolloutSpecInput, number: string = crypto.randomUUID()) {
  const spec = functionSpecSchema.parse({ image: 'example:1', env: { DEPLOY: number } });
  const input = { namespace: NS, name: NAME, spec };
  return rollouts.deploy(input, { probe: true, rollout: rollout && rolloutSchema.parse(rollout) });
}

function see(rollouts: RolloutEngine, version: number, calls: number, failed = 0): void {
  rollouts.observed([{ namespace: NS, name: NAME, version, calls, failed, durations: [[40, calls]] }]);
}

async function until(isTrue: () => boolean | Promise<boolean>, rounds = 500): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    if (await isTrue()) return;
    await sleep(LOOKS_MS);
  }
  throw new Error('it did not come true');
}

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
});

async function start(store: KeyValue = createMemoryKeyValue()): Promise<Server> {
  const server = await startServer(store);
  open.push(server.rollouts);
  return server;
}

/** The server with version 1 live and a canary to version 2 that has its first calls. */
async function startCanary(store?: KeyValue): Promise<Server> {
  const server = await start(store);
  await server.deploy();
  await server.deploy(CANARY);
  await until(() => server.weights()?.['2'] === 20);
  return server;
}

describe('createRollouts', () => {
  test('walks a good version to all calls, a step after each pause', async () => {
    const server = await startCanary();
    const { rollouts, time } = server;
    see(rollouts, 1, 100);
    see(rollouts, 2, 100);
    await sleep(5 * LOOKS_MS);
    expect(server.weights()).toEqual({ 1: 80, 2: 20 });
    time.now = 10_000;
    await until(() => server.weights()?.['2'] === 100);
    expect(server.weights()).toEqual({ 1: 0, 2: 100 });
    see(rollouts, 2, 100);
    time.now = 20_000;
    await until(async () => (await server.current())?.state === 'finished');
    expect(server.weights()).toEqual({ 2: 100 });
    expect(server.registry.resolve(NS, NAME)?.live.version).toBe(2);
    expect((await server.current())?.timeline.map(({ action, weight }) => [action, weight])).toEqual([
      ['start', 0],
      ['advance', 20],
      ['warm', 20],
      ['advance', 100],
      ['finish', 100],
    ]);
  });

  test('a version that is worse loses all calls at once, and the numbers stay in the timeline', async () => {
    const server = await startCanary();
    see(server.rollouts, 1, 1000);
    see(server.rollouts, 2, 100, 30);
    await until(() => server.weights()?.['1'] === 100);
    await until(async () => (await server.current())?.state === 'rolled-back');
    const rollout = await server.current();
    expect(rollout?.timeline.at(-1)).toMatchObject({
      action: 'roll-back',
      weight: 0,
      reason: 'MORE_ERRORS',
      old: { version: 1, calls: 1000, failed: 0 },
      new: { version: 2, calls: 100, failed: 30 },
    });
    expect(server.poolOf(2).held).toBe(0);
  });

  test('starts instances for a weight before it is in force, and keeps the old version as large as it was', async () => {
    const server = await start();
    await server.deploy();
    server.poolOf(1).ready = 10;
    server.poolOf(2).ready = 1;
    await server.deploy(CANARY);
    await until(() => server.poolOf(2).held === 2);
    await sleep(5 * LOOKS_MS);
    expect(server.weights()).toEqual({ 1: 100, 2: 0 });
    expect((await server.current())?.message).toBe('1 of 2 instances of version 2 are ready');
    server.poolOf(2).ready = 2;
    await until(() => server.weights()?.['2'] === 20);
    expect(server.poolOf(1).held).toBe(10);
  });

  test('starts that fail are seen, but not those before the rollout', async () => {
    const server = await start();
    await server.deploy();
    server.poolOf(2).starts = { made: 20, failed: 19 };
    await server.deploy(CANARY);
    await until(() => server.weights()?.['2'] === 20);
    await sleep(5 * LOOKS_MS);
    expect((await server.current())?.state).toBe('running');
    server.poolOf(2).starts = { made: 28, failed: 27 };
    await until(async () => (await server.current())?.state === 'rolled-back');
    expect(await server.current()).toMatchObject({ reason: 'COLD_STARTS_FAIL', new: { starts: 8, failedStarts: 8 } });
  });

  test('one rollout at a time: a second one, a deploy and a change of "live" are refused while one runs', async () => {
    const server = await startCanary();
    const guarded = withoutRollouts(server.registry, server.rollouts);
    const refused = { code: 'ROLLOUT_RUNNING', message: expect.stringContaining('from version 1 to 2 is running') };
    await expect(server.deploy(CANARY)).rejects.toMatchObject(refused);
    await expect(server.deploy()).rejects.toMatchObject(refused);
    const one = aliasSpecSchema.parse({ versions: { 1: 100 } });
    await expect(guarded.setAlias(NS, NAME, 'live', one)).rejects.toMatchObject(refused);
    await guarded.setAlias(NS, NAME, 'beta', one);
    expect((await server.current())?.state).toBe('running');
  });

  test('the same deploy again changes nothing, and comes with the rollout that runs', async () => {
    const server = await start();
    await deploy(server.rollouts, undefined, 'old');
    const [first, meanwhile] = await Promise.all([
      deploy(server.rollouts, CANARY, 'new'),
      deploy(server.rollouts, CANARY, 'new'),
    ]);
    expect([first.change, meanwhile.change]).toEqual(['updated', 'unchanged']);
    expect(meanwhile.rollout).toMatchObject({ id: first.rollout?.id, state: 'running', from: 1, to: 2 });
    await until(() => server.weights()?.['2'] === 20);
    for (const rollout of [CANARY, undefined]) {
      const again = await deploy(server.rollouts, rollout, 'new');
      expect([again.change, again.version.version, again.record.live.version]).toEqual(['unchanged', 2, 1]);
      expect(again.rollout).toMatchObject({ id: 1, state: 'running', weight: 20 });
    }
    await expect(deploy(server.rollouts, CANARY, 'old')).rejects.toMatchObject({ code: 'ROLLOUT_RUNNING' });
    expect(await server.registry.versions(NS, NAME)).toHaveLength(2);
    expect(await server.rollouts.list(NS, NAME)).toHaveLength(1);
    await server.rollouts.promote(NS, NAME);
    const after = await deploy(server.rollouts, CANARY, 'new');
    expect([after.change, after.rollout]).toEqual(['unchanged', undefined]);
  });

  test('what a split "live" has most calls for is unchanged, also with a rollout', async () => {
    const server = await start();
    await deploy(server.rollouts, undefined, 'old');
    await deploy(server.rollouts, undefined, 'new');
    await server.registry.setAlias(NS, NAME, 'live', aliasSpecSchema.parse({ versions: { 1: 30, 2: 70 } }));
    const again = await deploy(server.rollouts, CANARY, 'new');
    expect([again.change, again.rollout]).toEqual(['unchanged', undefined]);
    await expect(deploy(server.rollouts, CANARY, 'old')).rejects.toMatchObject({ code: 'LIVE_IS_SPLIT' });
    expect(server.weights()).toEqual({ 1: 30, 2: 70 });
  });

  test('a split made by hand is no beginning for a rollout', async () => {
    const server = await start();
    await server.deploy();
    await server.deploy();
    await server.registry.setAlias(NS, NAME, 'live', aliasSpecSchema.parse({ versions: { 1: 50, 2: 50 } }));
    await expect(server.deploy(CANARY)).rejects.toMatchObject({
      code: 'LIVE_IS_SPLIT',
      message: '"live" of "web" is split between versions 1 and 2; point it to one of them before a rollout',
    });
    expect(await server.registry.versions(NS, NAME)).toHaveLength(2);
  });

  test('a change of "live" by other ways ends the rollout and stays', async () => {
    const server = await startCanary();
    await server.registry.setAlias(NS, NAME, 'live', aliasSpecSchema.parse({ versions: { 1: 100 } }));
    await until(async () => (await server.current())?.state === 'aborted');
    expect(await server.current()).toMatchObject({ reason: 'CHANGED_BY_HAND' });
    expect(server.weights()).toEqual({ 1: 100 });
  });

  test('a rollback by hand aborts the one that runs, and does nothing where none does', async () => {
    const server = await startCanary();
    expect(await server.rollouts.abortRunning(NS, NAME)).toMatchObject({ state: 'aborted', weight: 0 });
    expect(server.weights()).toEqual({ 1: 100 });
    expect(await server.rollouts.abortRunning(NS, NAME)).toBeUndefined();
    await expect(server.rollouts.abort(NS, NAME)).rejects.toMatchObject({ code: 'ROLLOUT_NOT_RUNNING' });
  });

  test('what a rollback goes back to is the version before, never one that was taken back', async () => {
    const server = await start();
    const before = () => server.registry.resolve(NS, NAME)?.before;
    await server.deploy();
    await server.deploy();
    expect(before()).toBe(1);
    await server.deploy({ ...CANARY, steps: [{ weight: 50 }] });
    await until(() => server.weights()?.['3'] === 50);
    await server.rollouts.abort(NS, NAME);
    expect(server.weights()).toEqual({ 2: 100 });
    expect(before()).toBe(1);
    await server.deploy({ ...CANARY, steps: [{ weight: 50 }] });
    await until(() => server.weights()?.['4'] === 50);
    await server.rollouts.promote(NS, NAME);
    expect(before()).toBe(2);
  });

  test('a weight that could not be set is set with the next look', async () => {
    const store = createMemoryKeyValue();
    let isDown = false;
    const flaky: KeyValue = {
      ...store,
      commit: (writes) =>
        isDown && writes.some(({ key }) => key.startsWith('function/'))
          ? Promise.reject(new Error('the disk is full'))
          : store.commit(writes),
    };
    const server = await startCanary(flaky);
    isDown = true;
    see(server.rollouts, 1, 100);
    see(server.rollouts, 2, 100);
    server.time.now = 10_000;
    await until(async () => (await server.current())?.weight === 100);
    await sleep(5 * LOOKS_MS);
    expect(server.weights()).toEqual({ 1: 80, 2: 20 });
    isDown = false;
    await until(() => server.weights()?.['2'] === 100);
    expect((await server.current())?.state).toBe('running');
  });

  test.each([
    ['for a moment', 1],
    ['for longer', 6],
  ])('a rollout that could not begin never does, with the store down %s', async (_how, refusals) => {
    const store = createMemoryKeyValue();
    let left = 0;
    const flaky: KeyValue = {
      ...store,
      commit(writes) {
        const isWeight = writes.length === 1 && writes[0]?.key.startsWith('function/') === true;
        if (left === 0 || !isWeight) return store.commit(writes);
        left -= 1;
        return Promise.reject(new Error('the disk is full'));
      },
    };
    const server = await start(flaky);
    await server.deploy();
    left = refusals;
    await expect(server.deploy(CANARY)).rejects.toThrow('the disk is full');
    expect(await server.current()).toMatchObject({ weight: 0, reason: 'NOT_BEGUN' });
    expect(JSON.parse((await store.list('rollout/')).at(-1)?.value ?? '')).toMatchObject({ reason: 'NOT_BEGUN' });

    await server.rollouts[Symbol.asyncDispose]();
    left = 0;
    const next = await start(store);
    await sleep(5 * LOOKS_MS);
    expect(await next.current()).toMatchObject({ state: 'aborted', weight: 0 });
    expect(next.weights()).toEqual({ 1: 100 });
    await next.deploy(CANARY);
    await until(() => next.weights()?.['3'] === 20);
  });

  test('a rollout that could not begin is taken back by a later look, where it could not be at once', async () => {
    const store = createMemoryKeyValue();
    let isDown = false;
    const flaky: KeyValue = {
      ...store,
      commit: (writes) =>
        isDown && writes.length === 1 && /^(function|rollout)\//.test(writes[0]?.key ?? '')
          ? Promise.reject(new Error('the disk is full'))
          : store.commit(writes),
    };
    const server = await start(flaky);
    await server.deploy();
    isDown = true;
    await expect(server.deploy(CANARY)).rejects.toThrow('the disk is full');
    await expect(server.deploy(CANARY)).rejects.toMatchObject({ code: 'ROLLOUT_RUNNING' });
    isDown = false;
    await until(() => !server.rollouts.isRunning(NS, NAME));
    expect(await server.current()).toMatchObject({ state: 'aborted', reason: 'NOT_BEGUN' });
    expect(server.weights()).toEqual({ 1: 100 });
  });

  test('one that is promoted is warmed for all calls first, and a rollback does not wait for that', async () => {
    const server = await start();
    const guarded = withoutRollouts(server.registry, server.rollouts);
    await server.deploy();
    for (const to of [2, 3]) {
      server.poolOf(1).ready = 10;
      server.poolOf(to).ready = 2;
      await server.deploy(CANARY);
      await until(() => server.weights()?.[to] === 20);
      const promoted = server.rollouts.promote(NS, NAME).then(
        () => 'promoted',
        (error: unknown) => asEbbError(error).code,
      );
      await until(() => server.poolOf(to).held === 10);
      await sleep(5 * LOOKS_MS);
      expect([server.weights(), server.poolOf(to).held]).toEqual([{ 1: 80, [to]: 20 }, 10]);
      if (to === 2) {
        expect((await guarded.rollback(NS, NAME)).live.version).toBe(1);
        expect(await promoted).toBe('ROLLOUT_NOT_RUNNING');
      } else {
        server.poolOf(to).ready = 10;
        expect(await promoted).toBe('promoted');
      }
    }
    expect(server.weights()).toEqual({ 3: 100 });
  });

  test('instances are kept until the weights have changed', async () => {
    const server = await startCanary();
    const heldThen: number[] = [];
    using _watching = server.registry.watch(() => heldThen.push(server.poolOf(2).held));
    await server.rollouts.abort(NS, NAME);
    expect(heldThen).toEqual([1]);
    expect(server.poolOf(2).held).toBe(0);
  });

  test('a rollback while a rollout is ending goes on once that is over, whichever way it ended', async () => {
    const store = createMemoryKeyValue();
    const slow: KeyValue = { ...store, commit: (writes) => sleep(5).then(() => store.commit(writes)) };
    const server = await start(slow);
    const guarded = withoutRollouts(server.registry, server.rollouts);
    await server.deploy();
    await server.deploy();
    for (const [ending, to] of [
      ['promote', 3],
      ['abort', 4],
    ] as const) {
      await server.deploy(CANARY);
      await until(() => server.weights()?.[to] === 20);
      const ended = server.rollouts[ending](NS, NAME);
      // So that its first write is under way.
      await sleep(1);
      const [, record] = await Promise.all([ended, guarded.rollback(NS, NAME)]);
      expect(record.live.version).toBe(2);
      expect(server.weights()).toEqual({ 2: 100 });
    }
  });

  test('stickiness, matches and the description of "live" survive a rollout', async () => {
    const server = await start();
    await server.deploy();
    const live = { description: 'ours', sticky: { by: 'cookie' as const }, match: [{ header: 'x-beta', version: 1 }] };
    await server.registry.setAlias(NS, NAME, 'live', aliasSpecSchema.parse({ ...live, versions: { 1: 100 } }));
    await server.deploy(CANARY);
    await server.rollouts.promote(NS, NAME);
    const spec = server.registry.resolve(NS, NAME)?.aliases[0]?.spec;
    expect(spec).toMatchObject({ ...live, versions: { 2: 100 } });
  });

  test('a first version serves at once, and an unchanged one begins nothing', async () => {
    const server = await start();
    const first = await server.deploy(CANARY);
    expect([first.change, first.rollout]).toEqual(['created', undefined]);
    const spec = functionSpecSchema.parse({ image: 'example:1' });
    const input = { namespace: NS, name: NAME, spec };
    await server.rollouts.deploy(input, { probe: true });
    const again = await server.rollouts.deploy(input, { probe: true, rollout: rolloutSchema.parse(CANARY) });
    expect([again.change, again.rollout]).toEqual(['unchanged', undefined]);
  });

  test('the last 20 rollouts are kept, and none of a removed function', async () => {
    const store = createMemoryKeyValue();
    const server = await start(store);
    await server.deploy();
    for (let round = 0; round < 22; round += 1) {
      await server.deploy(CANARY);
      await server.rollouts.abort(NS, NAME);
    }
    const ids = (await server.rollouts.list(NS, NAME)).map(({ id }) => id);
    expect(ids).toEqual(Array.from({ length: 20 }, (_, index) => 22 - index));
    await server.deploy(CANARY);
    await server.registry.remove(NS, NAME);
    await until(async () => (await store.list('rollout/')).length === 0);
  });

  test('after a restart it goes on where it was, compares with what it knew, and waits anew', async () => {
    const store = createMemoryKeyValue();
    const first = await startCanary(store);
    see(first.rollouts, 1, 1000);
    see(first.rollouts, 2, 20);
    first.time.now = 10_000;
    await until(() => first.weights()?.['2'] === 100);
    await first.rollouts[Symbol.asyncDispose]();

    const second = await start(store);
    expect(await second.current()).toMatchObject({ state: 'running', step: 1, weight: 100 });
    await until(async () => (await second.current())?.reason === 'NOT_ENOUGH_DATA');
    see(second.rollouts, 2, 100, 50);
    await until(() => second.weights()?.['1'] === 100);
    await until(async () => (await second.current())?.state === 'rolled-back');
  });

  test('a stored rollout that cannot be read keeps nobody from starting', async () => {
    const store = createMemoryKeyValue();
    await store.commit([{ kind: 'set', key: 'rollout/openfaas-fn/other/0000000001', value: '{"id":1}' }]);
    await startCanary(store);
  });

  test.each(Array.from({ length: 8 }, (_, index) => index))(
    'killed between any two writes, the next start makes good what was begun: after %d more writes',
    async (writes) => {
      const store = createMemoryKeyValue();
      const setUp = await start(store);
      await setUp.deploy();
      await setUp.rollouts[Symbol.asyncDispose]();

      const dying = await start(mortal(store, 3 + writes));
      await dying.deploy(CANARY).catch(() => {});
      await until(async () => {
        see(dying.rollouts, 1, 1000);
        see(dying.rollouts, 2, 100, 50);
        await sleep(LOOKS_MS);
        return (await store.list('rollout/openfaas-fn/')).length === 0 || dying.weights()?.['2'] !== 0;
      }, 20).catch(() => {});
      await sleep(10 * LOOKS_MS);
      await dying.rollouts[Symbol.asyncDispose]();

      const next = await start(store);
      const rollout = await next.current();
      if (!rollout) {
        expect(next.weights()).toEqual({ 1: 100 });
        return;
      }
      await until(() => next.weights() !== undefined);
      if (rollout.state === 'running') expect(next.weights()).toEqual({ 1: 100 - rollout.weight, 2: rollout.weight });
      else expect(next.weights()).toEqual({ 1: 100 });
      await next.rollouts.abortRunning(NS, NAME);
      expect(next.weights()).toEqual({ 1: 100 });
    },
  );
});

/** A store whose writes fail for good after so many. */
function mortal(store: KeyValue, writes: number): KeyValue {
  let left = writes;
  return {
    ...store,
    commit(changes) {
      left -= 1;
      return left < 0 ? Promise.reject(new Error('the server is dead')) : store.commit(changes);
    },
  };
}
