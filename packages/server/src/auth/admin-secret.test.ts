import { expect, test } from 'vitest';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';
import { ensureAdminSecret } from './admin-secret.ts';
import { verifySecret } from './secret-hash.ts';

test('the first start makes a secret and tells it once; the store holds its hash alone', async () => {
  const store = createMemoryKeyValue();
  const first = await ensureAdminSecret({ store });
  expect(first.created).toMatch(/^[\w-]{43}$/);
  expect(await verifySecret(first.created ?? '', first.hash)).toBe(true);
  expect(JSON.stringify(await store.list(''))).not.toContain(first.created);
  expect(await ensureAdminSecret({ store })).toEqual({ hash: first.hash });
});

test('a given secret replaces a different one and is never told', async () => {
  const store = createMemoryKeyValue();
  const first = await ensureAdminSecret({ store });
  const second = await ensureAdminSecret({ store, given: 'given' });
  expect(second).toEqual({ hash: expect.not.stringMatching(first.hash) as string });
  expect(await verifySecret('given', second.hash)).toBe(true);
  expect(await ensureAdminSecret({ store, given: 'given' })).toEqual(second);
  expect(await ensureAdminSecret({ store })).toEqual(second);
});

test('an empty setting is refused rather than taken as a secret', async () => {
  const store = createMemoryKeyValue();
  await expect(ensureAdminSecret({ store, given: '' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
