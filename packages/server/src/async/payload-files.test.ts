import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPayloadFiles, MAX_INLINE_BYTES, type PayloadFilesOptions } from './payload-files.ts';

const MAX_BYTES = 4 * 2 ** 20;
const NONE = () => Promise.resolve(new Set<string>());

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ebb-payloads-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const make = (options: Partial<PayloadFilesOptions> = {}) =>
  createPayloadFiles({ directory, maxBytes: MAX_BYTES, ...options });

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

test('a body of any size in pieces of any size comes back as it was; small ones make no file', async () => {
  const files = make();
  const sizes = fc.oneof(fc.integer({ min: 0, max: 200_000 }), fc.constantFrom(65_535, 65_536, 65_537));
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 500, max: 100_000 }), fc.boolean(), async (size, piece, isWhole) => {
      const bytes = randomBytes(size);
      const payload = await files.keep(isWhole ? bytes : pieces(bytes, piece));
      if (size === 0) expect(payload).toEqual({ kind: 'none' });
      else if (size <= MAX_INLINE_BYTES) expect(payload.kind === 'bytes' && bytes.equals(payload.bytes)).toBe(true);
      else {
        const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
        expect(payload).toEqual({ kind: 'file', digest, sizeBytes: size });
        expect((await buffer(files.open(digest))).equals(bytes)).toBe(true);
      }
    }),
    { numRuns: 25 },
  );
});

test('equal bodies are one file, and nothing unfinished is left beside it', async () => {
  const files = make();
  const bytes = randomBytes(100_000);
  const kept = await Promise.all([1, 2, 3, 4].map(() => files.keep(pieces(bytes, 7_000))));
  expect(new Set(kept.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(await readdir(directory)).toHaveLength(1);
});

test('a body that is too large is refused with the first piece too many, and leaves nothing', async () => {
  const files = make({ maxBytes: 100_000 });
  let given = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      given += 1;
      yield randomBytes(30_000);
    }
  }
  await expect(files.keep(endless())).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  expect(given).toBe(4);
  await expect(files.keep(randomBytes(100_001))).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  expect(await readdir(directory)).toEqual([]);
});

test('a body that breaks off leaves nothing', async () => {
  const files = make();
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield randomBytes(300_000);
    throw new Error('the caller went away');
  }
  await expect(files.keep(broken())).rejects.toThrow('the caller went away');
  expect(await readdir(directory)).toEqual([]);
});

test('a writer that is given pieces without waiting keeps their order', async () => {
  const files = make();
  const bytes = randomBytes(500_000);
  await using writer = files.writer();
  for await (const piece of pieces(bytes, 9_000)) void writer.write(piece);
  const payload = await writer.finish();
  expect(payload.kind === 'file' && (await buffer(files.open(payload.digest))).equals(bytes)).toBe(true);
});

test('where nothing can be written, the error says so', async () => {
  const files = make();
  await rm(directory, { recursive: true });
  await expect(files.keep(randomBytes(100_000))).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(() => make({ directory: '/proc/nowhere' })).toThrow('cannot be written');
});

test('sweeping removes old files that nobody refers to, and no others', async () => {
  const files = make({ unusedMs: 10_000 });
  const [used, unused, young, renewed] = await Promise.all([1, 2, 3, 4].map(() => digestOf(randomBytes(70_000))));
  for (const digest of [used, unused, renewed]) await age(digest);
  expect(await files.renew(renewed ?? '')).toBe(true);
  expect(await files.sweep((digests) => Promise.resolve(new Set(digests.filter((one) => one === used))))).toBe(1);
  expect(await files.renew(unused ?? '')).toBe(false);
  const left = new Set((await readdir(directory)).map((name) => `sha256:${name}`));
  expect(left).toEqual(new Set([used, young, renewed]));

  async function digestOf(bytes: Uint8Array): Promise<string> {
    const kept = await files.keep(bytes);
    return kept.kind === 'file' ? kept.digest : '';
  }
});

test('a body that is kept again while it is swept stays', async () => {
  const files = make({ unusedMs: 10_000 });
  const bytes = randomBytes(70_000);
  const kept = await files.keep(bytes);
  const digest = kept.kind === 'file' ? kept.digest : '';
  await age(digest);
  await files.sweep(async () => {
    await files.keep(bytes);
    return new Set();
  });
  expect((await buffer(files.open(digest))).equals(bytes)).toBe(true);
});

test('what a killed server did not finish is removed at the start, unless another server may be at it', async () => {
  const unfinished = join(directory, 'incoming-1-abc');
  await writeFile(unfinished, 'half');
  make({ isShared: true });
  expect(await readdir(directory)).toEqual(['incoming-1-abc']);
  const old = new Date(Date.now() - 7_200_000);
  await utimes(unfinished, old, old);
  await make({ isShared: true }).sweep(NONE);
  expect(await readdir(directory)).toEqual([]);
  await writeFile(unfinished, 'half');
  make();
  expect(await readdir(directory)).toEqual([]);
});

async function age(digest: string | undefined): Promise<void> {
  const old = new Date(Date.now() - 60_000);
  await utimes(join(directory, (digest ?? '').slice('sha256:'.length)), old, old);
}
