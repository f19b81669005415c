import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';
import { createNamespaceRegistry } from './namespace-registry.ts';
import { createSigningKeys, OLD_KEY_MS } from './signing-keys.ts';
import { signingKeyKey } from './store-keys.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ebb-signing-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function open(store = createMemoryKeyValue(), keyPath = join(folder, `${Math.random()}.key`)) {
  const time = { now: Date.parse('2026-01-01T00:00:00Z') };
  const namespaces = {
    get: (name: string) => (['a', 'b'].includes(name) ? { name, id: 1, createdAt: '' } : undefined),
  };
  const clock = { now: () => time.now, monotonic: () => 0 };
  return { store, keyPath, time, keys: await createSigningKeys({ store, keyPath, namespaces, clock }) };
}

describe('createSigningKeys', () => {
  test('each namespace has a key of its own, made at first use and the same after a restart', async () => {
    const { store, keyPath, keys } = await open();
    const [first, same, other] = await Promise.all([keys.get('a'), keys.get('a'), keys.get('b')]);
    expect(first.key).toMatch(/^ebbsk_[\w-]{43}$/);
    expect(same).toEqual(first);
    expect(other.key).not.toBe(first.key);
    expect(await (await open(store, keyPath)).keys.get('a')).toEqual(first);
  });

  test('T2: the store does not hold it in any plain form, and a record copied to another namespace does not open', async () => {
    const { store, keys } = await open();
    const { key } = await keys.get('a');
    const entry = await store.get(signingKeyKey('a'));
    for (const encoding of ['utf8', 'base64', 'hex'] as const) {
      expect(entry?.value).not.toContain(Buffer.from(key).toString(encoding).slice(0, 12));
    }
    await store.commit([{ kind: 'set', key: signingKeyKey('b'), value: entry?.value ?? '' }]);
    await expect(keys.get('b')).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  test('a key that was replaced is used beside the new one for a day', async () => {
    const { time, keys } = await open();
    const before = await keys.get('a');
    const after = await keys.rotate('a');
    expect(after.key).not.toBe(before.key);
    expect(after.previous).toEqual({ key: before.key, until: '2026-01-02T00:00:00.000Z' });
    time.now += OLD_KEY_MS - 1;
    expect((await keys.get('a')).previous?.key).toBe(before.key);
    time.now += 1;
    expect(await keys.get('a')).not.toHaveProperty('previous');
  });

  test('a namespace that is made again has another one than before', async () => {
    const store = createMemoryKeyValue();
    const clock = { now: () => 0, monotonic: () => 0 };
    const namespaces = await createNamespaceRegistry({ store, clock });
    const keys = await createSigningKeys({ store, keyPath: join(folder, 'again.key'), namespaces, clock });
    await namespaces.create('team');
    const { key } = await keys.get('team');
    await namespaces.remove('team');
    await namespaces.create('team');
    expect((await keys.get('team')).key).not.toBe(key);
  });

  test('a namespace that is not there has none', async () => {
    const { keys } = await open();
    await expect(keys.get('nobody')).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
  });
});
