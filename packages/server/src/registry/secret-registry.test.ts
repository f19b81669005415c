import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../core/clock.ts';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';
import { createSecretRegistry, SECRET_MAX_BYTES } from './secret-registry.ts';

let folder = '';
let opened = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ebb-secrets-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const VALUE = Buffer.from('hunter2 is the value');

async function open(
  store = createMemoryKeyValue(),
  keyPath = join(folder, `${(opened += 1)}`, 'secret.key'),
  usedBy: (namespace: string, name: string) => string | undefined = () => undefined,
) {
  const namespaces = {
    get: (name: string) => (name === 'a' || name === 'b' ? { name, id: 1, createdAt: '' } : undefined),
  };
  const secrets = await createSecretRegistry({ store, keyPath, namespaces, clock: systemClock, usedBy });
  return { store, keyPath, secrets };
}

describe('secrets', () => {
  test('a value comes back as it was set, after a restart too, and is listed without it (T2)', async () => {
    const { store, keyPath, secrets } = await open();
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    await secrets.set('a', 'db.password', bytes);
    await secrets.set('a', 'empty', new Uint8Array());
    const again = (await open(store, keyPath)).secrets;
    expect(Buffer.from(await again.reveal('a', 'db.password'))).toEqual(Buffer.from(bytes));
    expect(await again.reveal('a', 'empty')).toHaveLength(0);
    expect((await again.list('a')).map((secret) => Object.keys(secret))).toEqual([
      ['name', 'updatedAt'],
      ['name', 'updatedAt'],
    ]);
  });

  test('neither the store nor the key file holds a value (fault case 46)', async () => {
    const { store, keyPath, secrets } = await open();
    await secrets.set('a', 'key', VALUE);
    const everything = JSON.stringify(await store.list('')) + (await readFile(keyPath, 'utf8'));
    for (const encoding of ['utf8', 'base64', 'base64url', 'hex'] as const) {
      expect(everything).not.toContain(VALUE.toString(encoding).slice(0, 12));
    }
    expect((await stat(keyPath)).mode & 0o777).toBe(0o600);
  });

  test('one of another namespace is not there (T3)', async () => {
    const { secrets } = await open();
    await secrets.set('a', 'key', VALUE);
    expect(await secrets.has('b', 'key')).toBe(false);
    expect(await secrets.list('b')).toEqual([]);
    await expect(secrets.reveal('b', 'key')).rejects.toMatchObject({ code: 'SECRET_NOT_FOUND' });
  });

  test('a record copied under another name or changed in one bit does not open', async () => {
    const { store, secrets } = await open();
    await secrets.set('a', 'key', VALUE);
    const value = (await store.get('secret/a/key'))?.value ?? '';
    await store.commit([{ kind: 'set', key: 'secret/b/key', value }]);
    await expect(secrets.reveal('b', 'key')).rejects.toMatchObject({ code: 'STORE_FAILED' });
    const record = JSON.parse(value) as { data: string };
    const data = Buffer.from(record.data, 'base64');
    data.writeUInt8(data.readUInt8(0) ^ 1, 0);
    const changed = JSON.stringify({ ...record, data: data.toString('base64') });
    await store.commit([{ kind: 'set', key: 'secret/a/key', value: changed }]);
    await expect(secrets.reveal('a', 'key')).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  test('one that a function uses cannot be removed; otherwise it is gone', async () => {
    let user: string | undefined = 'hello';
    const { secrets } = await open(undefined, undefined, () => user);
    await secrets.set('a', 'key', VALUE);
    await expect(secrets.remove('a', 'key')).rejects.toMatchObject({
      code: 'SECRET_IN_USE',
      message: expect.stringContaining('"hello"') as string,
    });
    user = undefined;
    await secrets.remove('a', 'key');
    await expect(secrets.remove('a', 'key')).rejects.toMatchObject({ code: 'SECRET_NOT_FOUND' });
  });

  test('the largest value is taken, a larger one refused', async () => {
    const { secrets } = await open();
    await secrets.set('a', 'key', Buffer.alloc(SECRET_MAX_BYTES));
    await expect(secrets.set('a', 'key', Buffer.alloc(SECRET_MAX_BYTES + 1))).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
    });
    expect(await secrets.reveal('a', 'key')).toHaveLength(SECRET_MAX_BYTES);
  });

  test.each(['', '../key', 'a/b', '.', '..', 'a..b', 'KEY', '__proto__', 'a\0', 'x'.repeat(254)])(
    'the name %j is refused (fault case 18)',
    async (name) => {
      const { secrets } = await open();
      await expect(secrets.set('a', name, VALUE)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
      await expect(secrets.reveal('a', name)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    },
  );

  test('a namespace that is not there has no secrets to list or set', async () => {
    const { secrets } = await open();
    await expect(secrets.list('nowhere')).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
    await expect(secrets.set('nowhere', 'key', VALUE)).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
  });
});

describe('the key of the secrets', () => {
  test('that is missing while secrets are stored stops the start and is not made anew', async () => {
    const { store, keyPath, secrets } = await open();
    await secrets.set('a', 'key', VALUE);
    await rm(keyPath);
    await expect(open(store, keyPath)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining(keyPath) as string,
    });
    await expect(stat(keyPath)).rejects.toThrow('ENOENT');
  });

  test('that is another one is noticed at the start', async () => {
    const { store, secrets } = await open();
    await secrets.set('a', 'key', VALUE);
    const other = await open();
    await expect(open(store, other.keyPath)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('is not the one') as string,
    });
  });

  test.each(['', 'short', 'x'.repeat(100)])('whose file holds %j is refused', async (content) => {
    const { store, keyPath } = await open();
    await writeFile(keyPath, content);
    await expect(open(store, keyPath)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });
});
