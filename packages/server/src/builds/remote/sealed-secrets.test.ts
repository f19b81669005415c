import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import nacl from 'tweetnacl';
import { stringify } from 'yaml';
import { expect, test } from 'vitest';
import { EbbError } from '../../core/errors.ts';
import { loadBuilderKey } from './builder-key.ts';
import { openSealedSecrets, showPublicKey } from './sealed-secrets.ts';

const keys = nacl.box.keyPair();

function seal(value: Uint8Array, sender = nacl.box.keyPair(), to = keys.publicKey): { box: string; sender: string } {
  const nonce = nacl.randomBytes(nacl.box.nonceLength);
  const box = Buffer.concat([nonce, nacl.box(value, nonce, to, sender.secretKey)]);
  return { box: box.toString('base64'), sender: Buffer.from(sender.publicKey).toString('base64') };
}

function yamlOf(values: Readonly<Record<string, Uint8Array>>, more: Readonly<Record<string, unknown>> = {}): string {
  const sender = nacl.box.keyPair();
  const sealed = Object.entries(values).map(([id, value]) => [id, seal(value, sender).box]);
  return stringify({
    version: 'v1',
    algorithm: 'nacl/box',
    key_id: showPublicKey(keys).key_id,
    public_key: Buffer.from(sender.publicKey).toString('base64'),
    secrets: Object.fromEntries(sealed),
    ...more,
  });
}

test('what was sealed for the key is opened to the same bytes', () => {
  const values = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}$/), fc.uint8Array({ maxLength: 2_000 }));
  fc.assert(
    fc.property(values, (given) => {
      const opened = openSealedSecrets(yamlOf(given), keys);
      expect(Object.keys(opened).toSorted()).toEqual(Object.keys(given).toSorted());
      for (const [id, value] of Object.entries(given)) expect(Buffer.from(opened[id] ?? []).equals(value)).toBe(true);
    }),
    { numRuns: 20 },
  );
});

test('the public key names itself by its first eight characters', () => {
  const shown = showPublicKey(keys);
  expect(Buffer.from(shown.public_key, 'base64')).toHaveLength(32);
  expect(shown).toEqual({
    key_id: shown.public_key.slice(0, 8),
    algorithm: 'nacl/box',
    public_key: Buffer.from(keys.publicKey).toString('base64'),
  });
});

test('what is changed, sealed otherwise or no such thing is refused, and no message has a value in it (T2)', () => {
  const { box, sender } = seal(Buffer.from('hunter2'));
  const bytes = Buffer.from(box, 'base64');
  bytes[30] = (bytes[30] ?? 0) ^ 1;
  const other = seal(Buffer.from('hunter2'), undefined, nacl.box.keyPair().publicKey);
  const cases: readonly [text: string, part: string][] = [
    ['{', 'not YAML'],
    ['just text', 'is not what it must be'],
    [yamlOf({}, { version: 'v2' }), '"version"'],
    [yamlOf({}, { algorithm: 'rot13' }), '"algorithm"'],
    [yamlOf({}, { key_id: 'another1' }), 'fetch /publickey again'],
    [yamlOf({}, { public_key: 'AAAA' }), '32 bytes'],
    [yamlOf({}, { secrets: { '../x': box } }), '"secrets.../x"'],
    [yamlOf({}, { public_key: sender, secrets: { token: bytes.toString('base64') } }), '"token" cannot be opened'],
    [yamlOf({}, { public_key: other.sender, secrets: { token: other.box } }), '"token" cannot be opened'],
    [yamlOf({}, { public_key: sender, secrets: { token: 'AAAA' } }), '"token" cannot be opened'],
    ['a: &a [x]\nb: [*a, *a]', 'not YAML'],
  ];
  for (const [text, part] of cases) {
    const error = errorOf(() => openSealedSecrets(text, keys));
    expect(error).toMatchObject({ code: 'BUILD_INVALID' });
    expect(error.message).toContain(part);
    expect(error.message).not.toContain('hunter2');
  }
});

test('the key is made once, for its owner alone, and stays', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ebb-key-'));
  const path = join(directory, 'sub/builder.key');
  try {
    const made = await Promise.all([loadBuilderKey(path), loadBuilderKey(path)]);
    const again = await loadBuilderKey(path);
    for (const one of made) expect(Buffer.from(one.publicKey).equals(again.publicKey)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8').trim()).toBe(Buffer.from(again.secretKey).toString('base64'));
    writeFileSync(path, 'short');
    await expect(loadBuilderKey(path)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

function errorOf(work: () => unknown): EbbError {
  try {
    work();
  } catch (error) {
    if (error instanceof EbbError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
