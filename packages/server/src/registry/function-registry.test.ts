import { type AliasSpecInput, aliasSpecSchema, type FunctionSpecInput, functionSpecSchema } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { DeployGate, DeployInput, RegistryChange, Version } from '../core/ports.ts';
import type { KeyValue } from '../store/key-value.ts';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';
import { KEPT_VERSIONS } from './decide-retention.ts';
import { createFunctionRegistry } from './function-registry.ts';
import { createNamespaceRegistry } from './namespace-registry.ts';

const CODE = `sha256:${'a'.repeat(64)}`;
const OTHER_CODE = `sha256:${'b'.repeat(64)}`;
const SECRETS = new Set(['openfaas-fn/key']);

const spec = (input: FunctionSpecInput = {}) => functionSpecSchema.parse({ runtime: 'node', ...input });
const deploy = (input: FunctionSpecInput = {}, name = 'hello'): DeployInput => ({
  namespace: 'openfaas-fn',
  name,
  spec: spec(input),
  code: CODE,
});

/** The side that runs instances, reduced to what it is asked and what it answers. */
function createGate(): DeployGate & {
  calls: string[];
  onProve: (version: Version) => Promise<void>;
  imageDigest?: string;
} {
  const calls: string[] = [];
  return {
    calls,
    onProve: async () => {},
    async admit() {
      calls.push('admit');
      return this.imageDigest === undefined ? {} : { imageDigest: this.imageDigest };
    },
    async prove(version) {
      calls.push(`prove ${version.key}`);
      await this.onProve(version);
    },
    async warm() {},
    async discard(version, options) {
      calls.push(`${options?.stays === true ? 'release' : 'discard'} ${version.key}`);
    },
  };
}

async function setUp(store: KeyValue = createMemoryKeyValue()) {
  const gate = createGate();
  const namespaces = await createNamespaceRegistry({ store, clock: systemClock });
  const registry = await createFunctionRegistry({
    store,
    namespaces,
    secrets: { has: async (namespace, name) => SECRETS.has(`${namespace}/${name}`) },
    code: { has: (digest) => digest === CODE || digest === OTHER_CODE },
    gate,
    clock: systemClock,
    maxInstances: 40,
  });
  const changes: RegistryChange[] = [];
  registry.watch((change) => changes.push(change));
  return { store, gate, namespaces, registry, changes };
}

const PROBED = { probe: true };
const UNPROBED = { probe: false };

describe('a deploy', () => {
  test('makes version 1, proves it, then makes it live and says so', async () => {
    const { registry, gate, changes } = await setUp();
    gate.onProve = async () => expect(registry.resolve('openfaas-fn', 'hello')).toBeUndefined();
    const { record, change } = await registry.put(deploy(), PROBED);
    expect(change).toBe('created');
    expect(record.live).toMatchObject({ key: 'openfaas-fn/hello@1', version: 1, code: CODE, limits: { pids: 256 } });
    expect(gate.calls).toEqual(['admit', 'prove openfaas-fn/hello@1']);
    expect(registry.resolve('openfaas-fn', 'hello')).toBe(record);
    expect(changes).toEqual([{ kind: 'changed', record }]);
  });

  test('that reserves more calls than its namespace has left is refused before anything is started', async () => {
    const { registry, namespaces, gate } = await setUp();
    await namespaces.setLimits('openfaas-fn', { concurrency: 5 });
    await registry.put(deploy({ limits: { reserved: 3 } }), UNPROBED);
    await registry.put(deploy({ limits: { reserved: 5 } }), UNPROBED);
    gate.calls.length = 0;
    await expect(registry.put(deploy({ limits: { reserved: 1 } }, 'other'), PROBED)).rejects.toMatchObject({
      code: 'LIMITS_INVALID',
      message:
        '"limits.reserved" is 1, but namespace "openfaas-fn" has a "concurrency" of 5, of which other functions leave 0',
    });
    await namespaces.setLimits('openfaas-fn', {});
    const large = deploy({ concurrency: 1, scale: { max: 50 }, limits: { reserved: 40 } }, 'large');
    await expect(registry.put(large, PROBED)).rejects.toMatchObject({
      code: 'LIMITS_INVALID',
      message:
        '"limits.reserved" is 40 and needs 40 instances, but the server has a "maxInstances" of 40, of which other functions leave 39',
    });
    expect([gate.calls, registry.reservedCalls('openfaas-fn')]).toEqual([[], 5]);
  });

  test('of the same content makes no version and starts nothing', async () => {
    const { registry, gate, changes } = await setUp();
    await registry.put(deploy({ env: { A: '1', B: '2' } }), UNPROBED);
    const { change, record } = await registry.put(deploy({ env: { B: '2', A: '1' } }), PROBED);
    expect([change, record.live.version]).toEqual(['unchanged', 1]);
    expect(gate.calls).toEqual(['admit', 'admit']);
    expect(changes).toHaveLength(1);
  });

  test.each([
    ['spec', { env: { A: '2' } }, CODE, undefined],
    ['code', {}, OTHER_CODE, undefined],
    ['image behind the same tag', {}, CODE, 'sha256:new'],
  ])(
    'with another %s makes the next version and keeps the old one unchanged (V1)',
    async (_what, input, code, image) => {
      const { registry, gate, changes } = await setUp();
      const first = await registry.put(deploy(), UNPROBED);
      if (image !== undefined) gate.imageDigest = image;
      const { record, change } = await registry.put({ ...deploy(input), code }, PROBED);
      expect([change, record.live.version, record.createdAt]).toEqual(['updated', 2, first.record.createdAt]);
      expect(changes.at(-1)).toEqual({ kind: 'changed', record, previous: first.record });
      expect(await registry.versions('openfaas-fn', 'hello')).toEqual([record.live, first.record.live]);
    },
  );

  test('owns its spec: what the caller changes later does not reach the version (V1)', async () => {
    const { registry } = await setUp();
    const input = deploy({ env: { A: '1' } });
    const { record } = await registry.put(input, UNPROBED);
    input.spec.env['A'] = 'changed';
    expect(record.live.spec.env).toEqual({ A: '1' });
  });

  test('that cannot be proved leaves the old version serving and nothing but its number behind', async () => {
    const { registry, gate, changes } = await setUp();
    const first = await registry.put(deploy(), UNPROBED);
    gate.onProve = async () => {
      throw new EbbError('DEPLOY_FAILED', 'it ended', { logs: ['boom'] });
    };
    await expect(registry.put(deploy({ env: { A: '2' } }), PROBED)).rejects.toMatchObject({ code: 'DEPLOY_FAILED' });
    expect(gate.calls.slice(-2)).toEqual(['prove openfaas-fn/hello@2', 'discard openfaas-fn/hello@2']);
    expect(registry.resolve('openfaas-fn', 'hello')).toBe(first.record);
    expect(await registry.versions('openfaas-fn', 'hello')).toEqual([first.record.live]);
    expect(changes).toHaveLength(1);
    expect((await registry.put(deploy({ env: { A: '3' } }), UNPROBED)).record.live.version).toBe(3);
  });

  test('is discarded when the store fails after the proof', async () => {
    const store = createMemoryKeyValue();
    const { registry, gate } = await setUp(store);
    gate.onProve = () => Promise.resolve(store[Symbol.asyncDispose]());
    await expect(registry.put(deploy(), PROBED)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(gate.calls.at(-1)).toBe('discard openfaas-fn/hello@1');
    expect(registry.resolve('openfaas-fn', 'hello')).toBeUndefined();
  });

  test('whose caller went away is given up and discarded', async () => {
    const { registry, gate } = await setUp();
    const caller = new AbortController();
    gate.onProve = async () => caller.abort(new EbbError('BAD_REQUEST', 'gone'));
    await expect(registry.put(deploy(), { probe: true, signal: caller.signal })).rejects.toMatchObject({
      message: 'gone',
    });
    expect(gate.calls.at(-1)).toBe('discard openfaas-fn/hello@1');
    expect(registry.list()).toEqual([]);
  });

  test.each([
    ['an unknown namespace', { ...deploy(), namespace: 'nowhere' }, 'NAMESPACE_NOT_FOUND'],
    ['a secret the namespace does not have (T3)', deploy({ secrets: ['key', 'other'] }), 'SECRET_NOT_FOUND'],
    ['code that was not uploaded', { ...deploy(), code: `sha256:${'c'.repeat(64)}` }, 'CODE_NOT_FOUND'],
    ['a runtime without code', { namespace: 'openfaas-fn', name: 'hello', spec: spec() }, 'CODE_NOT_FOUND'],
  ])('with %s is refused before the engine is asked', async (_what, input, code) => {
    const { registry, gate } = await setUp();
    await expect(registry.put(input, PROBED)).rejects.toMatchObject({ code });
    expect(gate.calls).toEqual([]);
    expect(registry.list()).toEqual([]);
  });

  test.each(['', '../x', 'a/b', 'a%2fb', 'A', 'a.b', 'a\0', '__proto__', 'ｈello', 'x'.repeat(64)])(
    'under the name %j is refused (fault case 18)',
    async (name) => {
      const { registry } = await setUp();
      await expect(registry.put(deploy({}, name), UNPROBED)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    },
  );

  test('under the name "constructor" is a function like any other', async () => {
    const { registry } = await setUp();
    expect(registry.resolve('openfaas-fn', 'constructor')).toBeUndefined();
    await registry.put(deploy({}, 'constructor'), UNPROBED);
    expect(registry.resolve('openfaas-fn', 'constructor')?.name).toBe('constructor');
  });

  test('waits for earlier deploys of the function, while those of others go on', async () => {
    const { registry, gate } = await setUp();
    const { promise: proved, resolve: finish } = Promise.withResolvers<void>();
    gate.onProve = ({ version, name }) => (name === 'slow' && version === 1 ? proved : Promise.resolve());
    const first = registry.put(deploy({ env: { A: '1' } }, 'slow'), PROBED);
    const second = registry.put(deploy({ env: { A: '2' } }, 'slow'), PROBED);
    await registry.put(deploy({}, 'quick'), PROBED);
    expect(registry.resolve('openfaas-fn', 'slow')).toBeUndefined();
    finish();
    expect((await first).record.live.version).toBe(1);
    expect((await second).record.live.version).toBe(2);
    expect(registry.resolve('openfaas-fn', 'slow')?.live.spec.env).toEqual({ A: '2' });
  });

  test('into a namespace that is removed meanwhile fails and leaves nothing in it', async () => {
    const { registry, gate, namespaces, store } = await setUp();
    await namespaces.create('team');
    gate.onProve = () => namespaces.remove('team');
    await expect(registry.put({ ...deploy(), namespace: 'team' }, PROBED)).rejects.toMatchObject({
      code: 'NAMESPACE_NOT_FOUND',
    });
    expect(await store.list('function/team/')).toEqual([]);
    expect(gate.calls.at(-1)).toBe('discard team/hello@1');
  });

  test('keeps a bounded number of old versions', async () => {
    const { registry } = await setUp();
    for (let n = 0; n < KEPT_VERSIONS + 3; n += 1) await registry.put(deploy({ env: { N: `${n}` } }), UNPROBED);
    const numbers = (await registry.versions('openfaas-fn', 'hello')).map(({ version }) => version);
    expect(numbers).toEqual(Array.from({ length: KEPT_VERSIONS + 2 }, (_, index) => KEPT_VERSIONS + 3 - index));
  });
});

describe('an alias', () => {
  const alias = (versions: Record<string, number>, more: Partial<AliasSpecInput> = {}) =>
    aliasSpecSchema.parse({ versions, ...more });

  async function setUpThree() {
    const parts = await setUp();
    for (const n of ['1', '2', '3']) await parts.registry.put(deploy({ env: { N: n } }), UNPROBED);
    return parts;
  }

  test('"live" is what a deploy points at the new version', async () => {
    const { registry } = await setUpThree();
    const record = registry.resolve('openfaas-fn', 'hello');
    expect(record?.aliases.map(({ name, spec: { versions } }) => [name, versions])).toEqual([['live', { 3: 100 }]]);
    expect([record?.live.version, record?.before, record?.versions.map(({ version }) => version)]).toEqual([3, 2, [3]]);
  });

  test('splits calls between versions that were replaced long ago, and says so', async () => {
    const { registry, changes, store } = await setUpThree();
    const previous = registry.resolve('openfaas-fn', 'hello');
    const record = await registry.setAlias('openfaas-fn', 'hello', 'live', alias({ 1: 90, 3: 10 }));
    expect(record.versions.map(({ version, spec: { env } }) => [version, env['N']])).toEqual([
      [1, '1'],
      [3, '3'],
    ]);
    expect([record.live.version, record.before]).toEqual([1, 3]);
    expect(changes.at(-1)).toEqual({ kind: 'changed', record, previous });
    expect((await setUp(store)).registry.list()).toEqual([record]);
  });

  test('of another name does not change what the bare name means, and can be removed', async () => {
    const { registry } = await setUpThree();
    const record = await registry.setAlias('openfaas-fn', 'hello', 'beta', alias({ 2: 100 }));
    expect([record.live.version, record.versions.map(({ version }) => version)]).toEqual([3, [2, 3]]);
    const without = await registry.removeAlias('openfaas-fn', 'hello', 'beta');
    expect(without.versions.map(({ version }) => version)).toEqual([3]);
  });

  test('that refers to a version keeps it from being dropped', async () => {
    const { registry } = await setUpThree();
    await registry.setAlias('openfaas-fn', 'hello', 'old', alias({ 1: 100 }));
    for (let n = 0; n < KEPT_VERSIONS + 3; n += 1) await registry.put(deploy({ env: { M: `${n}` } }), UNPROBED);
    const numbers = (await registry.versions('openfaas-fn', 'hello')).map(({ version }) => version);
    expect([numbers.at(-1), numbers.includes(2)]).toEqual([1, false]);
  });

  test('is set while a deploy is still being proved, and the deploy keeps it', async () => {
    const { registry, gate } = await setUpThree();
    gate.onProve = async () => {
      await registry.setAlias('openfaas-fn', 'hello', 'beta', alias({ 1: 100 }));
    };
    const { record } = await registry.put(deploy({ env: { N: '4' } }), PROBED);
    expect(record.aliases.map(({ name, spec: { versions } }) => [name, versions])).toEqual([
      ['live', { 4: 100 }],
      ['beta', { 1: 100 }],
    ]);
  });

  test.each([
    ['WEIGHTS_INVALID', 'live', { 1: 60, 3: 60 }, 'the weights of "live" add up to 120, not to 100'],
    ['WEIGHTS_INVALID', 'live', {}, 'the weights of "live" add up to 0, not to 100'],
    [
      'VERSION_NOT_FOUND',
      'live',
      { 9: 100 },
      'function "hello" has no version 9; "ebb versions hello" lists those there are',
    ],
    ['ALIAS_NAME_INVALID', '7', { 1: 100 }, '"7" cannot name an alias: it could be taken for a version\'s number'],
    ['ALIAS_NAME_INVALID', 'v7', { 1: 100 }, '"v7" cannot name an alias: it could be taken for a version\'s number'],
    ['ALIAS_NAME_INVALID', 'a/b', { 1: 100 }, '"a/b" cannot name an alias: use lower-case letters, digits and "-"'],
  ])('is refused with %s where it makes no sense', async (code, name, versions, message) => {
    const { registry, changes } = await setUpThree();
    const before = changes.length;
    const set = registry.setAlias('openfaas-fn', 'hello', name, alias(versions));
    await expect(set).rejects.toMatchObject({ code, message });
    expect(changes).toHaveLength(before);
  });

  test('"live" cannot be removed, nor one that is not there', async () => {
    const { registry } = await setUpThree();
    await expect(registry.removeAlias('openfaas-fn', 'hello', 'live')).rejects.toMatchObject({
      code: 'ALIAS_REQUIRED',
    });
    await expect(registry.removeAlias('openfaas-fn', 'hello', 'x')).rejects.toMatchObject({ code: 'ALIAS_NOT_FOUND' });
  });
});

describe('a version', () => {
  test('is stored and proved without being given calls, where that is asked for', async () => {
    const { registry, gate } = await setUp();
    const first = await registry.put(deploy({ env: { N: '1' } }), { probe: true, serve: false });
    expect([first.change, first.record.live.version]).toEqual(['created', 1]);
    const second = await registry.put(deploy({ env: { N: '2' } }), { probe: true, serve: false });
    expect([second.change, second.version.version, second.record.live.version]).toEqual(['updated', 2, 1]);
    expect(gate.calls.slice(-2)).toEqual(['prove openfaas-fn/hello@2', 'release openfaas-fn/hello@2']);
    expect(await registry.version('openfaas-fn', 'hello', 2)).toEqual(second.version);
    await expect(registry.version('openfaas-fn', 'hello', 3)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
  });
});

describe('removing a function', () => {
  test('takes all its versions along and says so; the name is free but its numbers go on', async () => {
    const { registry, changes, store } = await setUp();
    const { record } = await registry.put(deploy(), UNPROBED);
    await registry.remove('openfaas-fn', 'hello');
    expect(changes.at(-1)).toEqual({ kind: 'removed', previous: record });
    expect([...(await store.list('function/')), ...(await store.list('version/'))]).toEqual([]);
    await expect(registry.versions('openfaas-fn', 'hello')).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
    expect((await registry.put(deploy(), UNPROBED)).record.live.version).toBe(2);
  });

  test('that is not there is FUNCTION_NOT_FOUND', async () => {
    const { registry } = await setUp();
    await expect(registry.remove('openfaas-fn', 'hello')).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
  });
});

describe('the registry', () => {
  test('holds the same after a restart', async () => {
    const { registry, store } = await setUp();
    await registry.put(deploy({ env: { A: '1' } }), UNPROBED);
    await registry.put(deploy({ env: { A: '2' } }), UNPROBED);
    await registry.put(deploy({}, 'other'), UNPROBED);
    const again = await setUp(store);
    expect(again.registry.list()).toEqual(registry.list());
    expect(await again.registry.versions('openfaas-fn', 'hello')).toEqual(
      await registry.versions('openfaas-fn', 'hello'),
    );
  });

  test('lists by namespace and name', async () => {
    const { registry, namespaces } = await setUp();
    await namespaces.create('a-team');
    await registry.put(deploy({}, 'b'), UNPROBED);
    await registry.put(deploy({}, 'a'), UNPROBED);
    await registry.put({ ...deploy({}, 'z'), namespace: 'a-team' }, UNPROBED);
    expect(registry.list().map(({ namespace, name }) => `${namespace}/${name}`)).toEqual([
      'a-team/z',
      'openfaas-fn/a',
      'openfaas-fn/b',
    ]);
    expect(registry.list('a-team').map(({ name }) => name)).toEqual(['z']);
  });

  test('goes on when a listener throws, and tells nobody who stopped listening', async () => {
    const { registry, changes } = await setUp();
    const heard: RegistryChange[] = [];
    const subscription = registry.watch((change) => heard.push(change));
    registry.watch(() => {
      throw new Error('a defect of the listener');
    });
    await registry.put(deploy({}, 'one'), UNPROBED);
    subscription[Symbol.dispose]();
    await registry.put(deploy({}, 'two'), UNPROBED);
    expect([heard.length, changes.length]).toEqual([1, 2]);
  });

  test('knows who uses a secret and which code is in use, deploys under way included', async () => {
    const { registry, gate } = await setUp();
    expect(registry.secretUser('openfaas-fn', 'key')).toBeUndefined();
    gate.onProve = async () => {
      expect(registry.secretUser('openfaas-fn', 'key')).toBe('hello');
      expect(await registry.codeInUse()).toEqual(new Set([CODE]));
    };
    await registry.put(deploy({ secrets: ['key'] }), PROBED);
    expect(registry.secretUser('openfaas-fn', 'key')).toBe('hello');
    expect(registry.secretUser('other', 'key')).toBeUndefined();
    await registry.put({ ...deploy(), code: OTHER_CODE }, UNPROBED);
    expect(registry.secretUser('openfaas-fn', 'key')).toBeUndefined();
    expect(await registry.codeInUse()).toEqual(new Set([CODE, OTHER_CODE]));
  });

  test('refuses to start over a record it cannot read, and names it', async () => {
    const { store } = await setUp();
    await store.commit([{ kind: 'set', key: 'function/openfaas-fn/hello', value: '{"live":{}}' }]);
    await expect(setUp(store)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('"function/openfaas-fn/hello"') as string,
    });
  });
});
