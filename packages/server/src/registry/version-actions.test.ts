import {
  type AliasSpecInput,
  aliasSpecSchema,
  type FunctionSpecInput,
  functionSpecSchema,
  LIVE_ALIAS,
} from '@ebb/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Clock } from '../core/clock.ts';
import { systemClock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { DeployGate, DeployInput, FunctionRecord, RegistryChange, Version } from '../core/ports.ts';
import type { KeyValue } from '../store/key-value.ts';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';
import type { RetentionRule } from './decide-retention.ts';
import { createFunctionRegistry } from './function-registry.ts';
import { createNamespaceRegistry } from './namespace-registry.ts';

const NS = 'openfaas-fn';
const CODE = `sha256:${'a'.repeat(64)}`;
const UNPROBED = { probe: false };

const deploy = (n: string, more: FunctionSpecInput = {}): DeployInput => ({
  namespace: NS,
  name: 'hello',
  spec: functionSpecSchema.parse({ runtime: 'node', env: { N: n }, ...more }),
  code: CODE,
});
const alias = (versions: Record<string, number>, more: Partial<AliasSpecInput> = {}) =>
  aliasSpecSchema.parse({ versions, ...more });
const liveOf = (record: FunctionRecord | undefined) => record?.aliases.find(({ name }) => name === LIVE_ALIAS)?.spec;
const numbersOf = (versions: readonly Version[]) => versions.map(({ version }) => version);

interface SetUp {
  readonly store?: KeyValue;
  readonly deployed?: number;
  readonly retention?: RetentionRule;
}

async function setUp({ store = createMemoryKeyValue(), deployed = 3, retention }: SetUp = {}) {
  const calls: string[] = [];
  const time = { nowMs: 1_000_000 };
  const clock: Clock = { ...systemClock, now: () => time.nowMs };
  const busy = new Set<number>();
  /** Of them, those that only wait for work. */
  const idle = new Set<number>();
  const rolling = new Set<string>();
  const secrets = new Set(['key']);
  const hooks: { onProve: (version: Version) => Promise<void>; onHas: () => void } = {
    onProve: async () => {},
    onHas: () => {},
  };
  const gate: DeployGate = {
    admit: async () => ({}),
    async prove(version) {
      calls.push(`prove ${version.version}`);
      await hooks.onProve(version);
    },
    async warm() {},
    async discard(version, options) {
      calls.push(`${options?.stays === true ? 'release' : 'discard'} ${version.version}`);
    },
  };
  const registry = await createFunctionRegistry({
    store,
    namespaces: await createNamespaceRegistry({ store, clock }),
    secrets: {
      has: async (_namespace, name) => {
        hooks.onHas();
        return secrets.has(name);
      },
    },
    code: { has: () => true },
    gate,
    clock,
    isVersionBusy: ({ version }) => busy.has(version),
    isRollingOut: (_namespace, name) => rolling.has(name),
    stopIdle: async ({ version }) => {
      if (idle.has(version)) busy.delete(version);
    },
    ...(retention && { retention }),
  });
  if (registry.list().length === 0) {
    for (let n = 1; n <= deployed; n += 1) await registry.put(deploy(String(n)), UNPROBED);
  }
  const changes: RegistryChange[] = [];
  registry.watch((change) => changes.push(change));
  const stored = async () => numbersOf(await registry.versions(NS, 'hello'));
  return { store, registry, gate, calls, time, busy, idle, rolling, secrets, hooks, changes, stored };
}

describe('a rollback', () => {
  test('gives all calls to the version that had them before, and a second one leads forward again', async () => {
    const { registry, changes, store } = await setUp();
    const back = await registry.rollback(NS, 'hello');
    expect([liveOf(back)?.versions, back.live.version, back.before]).toEqual([{ 2: 100 }, 2, 3]);
    expect(changes).toHaveLength(1);
    expect((await setUp({ store })).registry.list()).toEqual([back]);
    const forward = await registry.rollback(NS, 'hello');
    expect([liveOf(forward)?.versions, forward.before]).toEqual([{ 3: 100 }, 2]);
  });

  test('goes to a version that is named', async () => {
    const { registry } = await setUp();
    const record = await registry.rollback(NS, 'hello', 1);
    expect([record.live.version, record.before]).toEqual([1, 3]);
  });

  test('from the middle of a split goes to the version the split began from, whatever the shares', async () => {
    for (const shares of [
      { 2: 90, 3: 10 },
      { 2: 10, 3: 90 },
    ]) {
      const { registry } = await setUp();
      await registry.rollback(NS, 'hello');
      const split = await registry.setAlias(NS, 'hello', 'live', alias(shares));
      expect(split.before).toBe(2);
      const back = await registry.rollback(NS, 'hello');
      expect([liveOf(back)?.versions, back.before]).toEqual([{ 2: 100 }, 3]);
    }
  });

  test('after a split that was finished goes to the version the split began from', async () => {
    const { registry } = await setUp();
    await registry.setAlias(NS, 'hello', 'live', alias({ 3: 50, 1: 50 }));
    await registry.setAlias(NS, 'hello', 'live', alias({ 1: 100 }));
    expect((await registry.rollback(NS, 'hello')).live.version).toBe(3);
  });

  test('keeps what holds clients on their side, and ends matches and copies', async () => {
    const { registry } = await setUp();
    const sticky = { by: 'cookie', name: 'side' } as const;
    const match = [{ header: 'x-tester', version: 3 }];
    await registry.setAlias(NS, 'hello', 'live', alias({ 2: 90, 3: 10 }, { sticky, match, shadow: { version: 1 } }));
    const record = await registry.rollback(NS, 'hello');
    expect(liveOf(record)).toEqual(alias({ 3: 100 }, { sticky }));
  });

  test('does not wait for a deploy under way, and other aliases stay', async () => {
    const { registry, hooks } = await setUp();
    await registry.setAlias(NS, 'hello', 'beta', alias({ 1: 100 }));
    const { promise: proved, resolve: finish } = Promise.withResolvers<void>();
    hooks.onProve = () => proved;
    const deploying = registry.put(deploy('4'), { probe: true });
    const record = await registry.rollback(NS, 'hello');
    expect([record.live.version, numbersOf(record.versions)]).toEqual([2, [1, 2]]);
    finish();
    expect((await deploying).record.live.version).toBe(4);
    expect(registry.resolve(NS, 'hello')?.before).toBe(2);
  });

  test('without another version, or to the one that has all calls, says so', async () => {
    const { registry } = await setUp({ deployed: 1 });
    await expect(registry.rollback(NS, 'hello')).rejects.toMatchObject({
      code: 'NOTHING_TO_ROLL_BACK',
      message: 'no version of "hello" had all calls before version 1; say which one to go to',
    });
    await expect(registry.rollback(NS, 'hello', 1)).rejects.toMatchObject({
      code: 'NOTHING_TO_ROLL_BACK',
      message: 'every call of "hello" goes to version 1 already',
    });
    await expect(registry.rollback(NS, 'hello', 9)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
    await expect(registry.rollback(NS, 'nobody')).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
  });
});

describe('a deploy equal to a stored version', () => {
  test('makes none, proves that one and points "live" at it', async () => {
    const { registry, calls, stored, changes } = await setUp();
    const { version, change, record } = await registry.put(deploy('1'), { probe: true });
    expect([version.version, change, record.live.version, record.before]).toEqual([1, 'updated', 1, 3]);
    expect([calls, await stored(), changes.length]).toEqual([['prove 1'], [3, 2, 1], 1]);
  });

  test('that is not to serve changes nothing', async () => {
    const { registry, calls, changes } = await setUp();
    const { version, change, record } = await registry.put(deploy('1'), { probe: true, serve: false });
    expect([version.version, change, record.live.version]).toEqual([1, 'unchanged', 3]);
    expect(calls).toEqual(['prove 1', 'release 1']);
    // Nothing that serves is another.
    for (const one of changes) expect(one.kind === 'changed' && one.record === one.previous).toBe(true);
  });

  test('that cannot be proved any more leaves it stored, and cuts nothing that it still serves', async () => {
    const { registry, hooks, calls, stored } = await setUp();
    hooks.onProve = () => Promise.reject(new EbbError('DEPLOY_FAILED', 'it ended'));
    await expect(registry.put(deploy('1'), { probe: true })).rejects.toMatchObject({ code: 'DEPLOY_FAILED' });
    expect([calls, await stored(), registry.resolve(NS, 'hello')?.live.version]).toEqual([
      ['prove 1', 'release 1'],
      [3, 2, 1],
      3,
    ]);
  });

  test('after that one was deleted makes another', async () => {
    const { registry } = await setUp();
    await registry.removeVersion(NS, 'hello', 1);
    expect((await registry.put(deploy('1'), UNPROBED)).version.version).toBe(4);
  });
});

describe('publishing', () => {
  test('is kept beside the version, which stays as it is (V1)', async () => {
    const { registry, store, changes, time } = await setUp();
    const before = await store.get(`version/${NS}/hello/0000000002`);
    await registry.publish(NS, 'hello', 2, { description: 'release 2' });
    expect(await store.get(`version/${NS}/hello/0000000002`)).toEqual(before);
    const again = await setUp({ store });
    expect(await again.registry.notes(NS, 'hello')).toEqual(
      new Map([[2, { description: 'release 2', publishedAt: time.nowMs }]]),
    );
    expect(changes).toEqual([]);
  });

  test('may point an alias wholly at the version; without a description what was said stays', async () => {
    const { registry } = await setUp();
    await registry.publish(NS, 'hello', 2, { description: 'release 2' });
    const record = await registry.publish(NS, 'hello', 2, { alias: 'stable' });
    expect(record.aliases.at(-1)).toMatchObject({ name: 'stable', spec: { versions: { 2: 100 } } });
    expect((await registry.notes(NS, 'hello')).get(2)?.description).toBe('release 2');
  });

  test('of a version there is not, or under a wrong name, changes nothing', async () => {
    const { registry } = await setUp();
    await expect(registry.publish(NS, 'hello', 9, { description: 'x' })).rejects.toMatchObject({
      code: 'VERSION_NOT_FOUND',
    });
    await expect(registry.publish(NS, 'hello', 1, { description: 'x', alias: 'v1' })).rejects.toMatchObject({
      code: 'ALIAS_NAME_INVALID',
    });
    expect(await registry.notes(NS, 'hello')).toEqual(new Map());
  });

  test('is forgotten with the function', async () => {
    const { registry, store } = await setUp();
    await registry.publish(NS, 'hello', 2, { description: 'release 2' });
    await registry.remove(NS, 'hello');
    expect(await store.list('note/')).toEqual([]);
  });
});

describe('deleting a version', () => {
  test('takes it and what was said of it', async () => {
    const { registry, store, stored } = await setUp();
    await registry.publish(NS, 'hello', 1, { description: 'release 1' });
    await registry.removeVersion(NS, 'hello', 1);
    expect([await stored(), await store.list('note/')]).toEqual([[3, 2], []]);
    await expect(registry.removeVersion(NS, 'hello', 1)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
  });

  test.each([
    ['is live', 3, 'version 3 of "hello" cannot be deleted: the alias "live" names it; point that elsewhere first'],
    [
      'is what a rollback goes back to',
      2,
      'version 2 of "hello" cannot be deleted: "ebb rollback hello" goes back to it',
    ],
    [
      'has 0 % of an alias',
      4,
      'version 4 of "hello" cannot be deleted: the alias "beta" names it; point that elsewhere first',
    ],
    [
      'only gets copies',
      5,
      'version 5 of "hello" cannot be deleted: the alias "beta" names it; point that elsewhere first',
    ],
    [
      'still runs',
      6,
      'version 6 of "hello" cannot be deleted: it still has calls, or instances that have not ended; try again in a moment',
    ],
  ])('that %s is refused', async (_what, number, message) => {
    const { registry, busy, stored } = await setUp();
    for (const n of ['4', '5', '6']) await registry.put(deploy(n), { probe: false, serve: false });
    await registry.setAlias(NS, 'hello', 'beta', alias({ 3: 100, 4: 0 }, { shadow: { version: 5 } }));
    busy.add(6);
    await expect(registry.removeVersion(NS, 'hello', number)).rejects.toMatchObject({
      code: 'VERSION_IN_USE',
      message,
    });
    expect(await stored()).toContain(number);
  });

  test('stops what only waits for work first, such as the instance it was proved by', async () => {
    const { registry, busy, idle, stored } = await setUp();
    busy.add(1);
    idle.add(1);
    await registry.removeVersion(NS, 'hello', 1);
    expect(await stored()).not.toContain(1);
  });

  test('is refused while a rollout of the function runs, which has to end first', async () => {
    const { registry, rolling } = await setUp();
    rolling.add('hello');
    await expect(registry.removeVersion(NS, 'hello', 1)).rejects.toMatchObject({
      code: 'VERSION_IN_USE',
      message:
        'version 1 of "hello" cannot be deleted: a rollout of "hello" has to end first; "ebb rollout status hello" shows how it stands',
    });
  });

  test('waits for a deploy that is about to make it live', async () => {
    const { registry, hooks } = await setUp();
    const { promise: proved, resolve: finish } = Promise.withResolvers<void>();
    hooks.onProve = () => proved;
    const deploying = registry.put(deploy('1'), { probe: true });
    const removing = registry.removeVersion(NS, 'hello', 1);
    finish();
    expect((await deploying).record.live.version).toBe(1);
    await expect(removing).rejects.toMatchObject({ code: 'VERSION_IN_USE' });
  });
});

describe('secrets of a version', () => {
  async function setUpGone() {
    const parts = await setUp({ deployed: 0 });
    await parts.registry.put(deploy('1', { secrets: ['key'] }), UNPROBED);
    await parts.registry.put(deploy('2'), UNPROBED);
    parts.secrets.delete('key');
    return parts;
  }

  test('that are gone keep aliases from it, and nothing changes', async () => {
    const { registry, changes } = await setUpGone();
    const before = changes.length;
    const refusal = {
      code: 'SECRET_NOT_FOUND',
      message: `version 1 of "hello" needs the secret "key", which namespace "${NS}" has no longer; set it again first`,
    };
    await expect(registry.setAlias(NS, 'hello', 'beta', alias({ 1: 100 }))).rejects.toMatchObject(refusal);
    await expect(registry.rollback(NS, 'hello')).rejects.toMatchObject(refusal);
    await expect(registry.publish(NS, 'hello', 1, { alias: 'old' })).rejects.toMatchObject(refusal);
    expect([changes.length, await registry.notes(NS, 'hello')]).toEqual([before, new Map()]);
  });

  test('count as used from the moment they are looked for until an alias is set', async () => {
    const { registry, secrets, hooks } = await setUpGone();
    secrets.add('key');
    expect(registry.secretUser(NS, 'key')).toBeUndefined();
    hooks.onHas = () => expect(registry.secretUser(NS, 'key')).toBe('hello');
    await registry.rollback(NS, 'hello');
    expect(registry.secretUser(NS, 'key')).toBe('hello');
  });
});

describe('retention', () => {
  test('leaves the newest besides what is needed, with what was said of them', async () => {
    const { registry, busy, stored, store } = await setUp({ retention: { kept: 2 }, deployed: 2 });
    await registry.publish(NS, 'hello', 1, { description: 'first', alias: 'first' });
    await registry.publish(NS, 'hello', 2, { description: 'second' });
    busy.add(3);
    for (const n of ['3', '4', '5', '6', '7', '8']) await registry.put(deploy(n), UNPROBED);
    // 8 is live, 7 is what a rollback goes back to, 6 and 5 are the newest others, 3 still runs, 1 has an alias.
    expect(await stored()).toEqual([8, 7, 6, 5, 3, 1]);
    expect((await store.list('note/')).map(({ key }) => key)).toEqual([`note/${NS}/hello/0000000001`]);
    busy.clear();
    await registry.collect();
    expect(await stored()).toEqual([8, 7, 6, 5, 1]);
  });

  test('removes what is too old when it is looked at, though nobody deploys', async () => {
    const { registry, time, stored } = await setUp({ retention: { kept: 50, maxAgeMs: 1000 }, deployed: 4 });
    expect(await stored()).toEqual([4, 3, 2, 1]);
    time.nowMs += 1001;
    await registry.collect();
    expect(await stored()).toEqual([4, 3]);
  });

  test('leaves a version that a deploy under way is about to make live', async () => {
    const { registry, hooks, time } = await setUp({ retention: { kept: 0, maxAgeMs: 1000 }, deployed: 0 });
    await registry.put(deploy('1'), UNPROBED);
    await registry.put(deploy('2'), UNPROBED);
    time.nowMs += 5000;
    let collecting: Promise<void> | undefined;
    hooks.onProve = async () => {
      collecting = registry.collect();
    };
    expect((await registry.put(deploy('1'), { probe: true })).record.live.version).toBe(1);
    await collecting;
    expect((await registry.version(NS, 'hello', 1)).version).toBe(1);
  });
});

test('a data directory of an older server opens, with "live" alone and nothing to roll back to', async () => {
  const { store, registry } = await setUp({ deployed: 2 });
  const key = `function/${NS}/hello`;
  const record = JSON.parse((await store.get(key))?.value ?? '{}') as Record<string, unknown>;
  const { live, createdAt, updatedAt } = record;
  await store.commit([{ kind: 'set', key, value: JSON.stringify({ live, createdAt, updatedAt }) }]);
  const again = await setUp({ store });
  expect(again.registry.resolve(NS, 'hello')?.live).toEqual(registry.resolve(NS, 'hello')?.live);
  await expect(again.registry.rollback(NS, 'hello')).rejects.toMatchObject({ code: 'NOTHING_TO_ROLL_BACK' });
  expect((await again.registry.rollback(NS, 'hello', 1)).before).toBe(2);
});

type Step =
  | { readonly kind: 'deploy' | 'store' | 'publish' | 'delete' | 'back-to'; readonly n: number }
  | { readonly kind: 'split'; readonly alias: string; readonly n: number; readonly m: number; readonly weight: number }
  | { readonly kind: 'back' | 'collect' | 'unalias' };

const numbers = fc.integer({ min: 1, max: 6 });
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('deploy', 'store', 'publish', 'delete', 'back-to'), n: numbers }),
    fc.record({
      kind: fc.constant('split' as const),
      alias: fc.constantFrom('live', 'beta'),
      n: numbers,
      m: numbers,
      weight: fc.integer({ min: 0, max: 100 }),
    }),
    fc.record({ kind: fc.constantFrom('back', 'collect', 'unalias') }),
  ),
  { maxLength: 25 },
);

test('whatever is done, all that an alias names or a rollback goes back to is stored, and two rollbacks undo each other', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const { registry, store, time } = await setUp({ retention: { kept: 1, maxAgeMs: 5 }, deployed: 1 });
      const act = async (step: Step): Promise<unknown> => {
        if (step.kind === 'deploy') return registry.put(deploy(`${step.n}`), UNPROBED);
        if (step.kind === 'store') return registry.put(deploy(`${step.n}`), { probe: false, serve: false });
        if (step.kind === 'publish') return registry.publish(NS, 'hello', step.n, { description: 'x', alias: 'beta' });
        if (step.kind === 'delete') return registry.removeVersion(NS, 'hello', step.n);
        if (step.kind === 'back-to') return registry.rollback(NS, 'hello', step.n);
        if (step.kind === 'back') return registry.rollback(NS, 'hello');
        if (step.kind === 'collect') return registry.collect();
        if (step.kind !== 'split') return registry.removeAlias(NS, 'hello', 'beta');
        const { n, m, weight } = step;
        return registry.setAlias(
          NS,
          'hello',
          step.alias,
          alias({ [n]: 100 - weight, ...(m !== n && { [m]: weight }) }),
        );
      };
      for (const step of list) {
        time.nowMs += 2;
        await act(step).catch((error: unknown) => {
          if (!(error instanceof EbbError) || error.code === 'INTERNAL' || error.code === 'STORE_FAILED') throw error;
        });
        const record = registry.resolve(NS, 'hello');
        const stored = new Set(numbersOf(await registry.versions(NS, 'hello')));
        const named = record?.aliases.flatMap(({ spec }) => Object.keys(spec.versions).map(Number)) ?? [];
        expect(
          [...named, ...(record?.before === undefined ? [] : [record.before])].filter((one) => !stored.has(one)),
        ).toEqual([]);
        expect((await setUp({ store })).registry.list()).toEqual(registry.list());
      }
      const back = await registry.rollback(NS, 'hello').catch(() => undefined);
      if (!back) return;
      const forward = await registry.rollback(NS, 'hello');
      expect(forward.live.version).toBe(back.before);
      expect((await registry.rollback(NS, 'hello')).live.version).toBe(back.live.version);
    }),
    { numRuns: 60 },
  );
});
