import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EbbError } from '../core/errors.ts';
import type { CodeLimits } from './code-limits.ts';
import { createCodeStore } from './code-store.ts';
import { type FixtureEntry, makeTar, makeZip } from './fixtures/make-archives.ts';

let root = '';
let opened = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ebb-code-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const LIMITS: CodeLimits = { archiveBytes: 2 ** 20, unpackedBytes: 12 * 2 ** 20, entries: 50, ratio: 20 };
const FILES: readonly FixtureEntry[] = [
  { name: 'index.js', content: 'export default {}' },
  { name: 'lib/run.sh', content: '#!/bin/sh', mode: 0o755 },
  { name: 'empty.txt' },
];

async function setUp(limits: Partial<CodeLimits> = {}) {
  const directory = join(root, `${(opened += 1)}`);
  let time = Date.now();
  const clock = { now: () => time, monotonic: () => time };
  const store = await createCodeStore({ directory, limits: { ...LIMITS, ...limits }, clock });
  return {
    directory,
    store,
    pass: (ms: number) => (time += ms),
    tar: async (entries: readonly FixtureEntry[]) => store.put(Readable.from([await makeTar(entries)]), 'tar'),
    zip: async (...given: Parameters<typeof makeZip>) => store.put(Readable.from([makeZip(...given)]), 'zip'),
    /** What lies in the store's folder and beside it. */
    left: async () => [...(await readdir(directory)), ...(await readdir(root)).filter((name) => !/^\d+$/.test(name))],
  };
}

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('an upload', () => {
  test('is unpacked with contents and executable bits, readable by every user', async () => {
    const { store, tar } = await setUp();
    const { digest, sizeBytes, files } = await tar(FILES);
    expect([sizeBytes, files]).toEqual([26, 3]);
    const directory = store.directory(digest);
    expect(await readFile(join(directory, 'lib/run.sh'), 'utf8')).toBe('#!/bin/sh');
    const modes = await Promise.all(
      ['.', 'lib', 'lib/run.sh', 'index.js'].map(async (name) => (await stat(join(directory, name))).mode & 0o7777),
    );
    expect(modes).toEqual([0o755, 0o755, 0o755, 0o644]);
  });

  test('never gets more rights than reading and executing', async () => {
    const { store, tar } = await setUp();
    const { digest } = await tar([{ name: 'a', content: 'x', mode: 0o6777 }]);
    expect((await stat(join(store.directory(digest), 'a'))).mode & 0o7777).toBe(0o755);
  });

  test('of the same content is stored once, whatever its format, order, folders, chunks or prefix', async () => {
    const { store, directory, tar, zip } = await setUp();
    const { digest } = await tar(FILES);
    const bytes = await makeTar([
      { name: './', type: 'directory' },
      { name: './lib/', type: 'directory' },
      ...FILES.toReversed().map((entry) => ({ ...entry, name: `./${entry.name}` })),
    ]);
    expect(await tar(FILES.toReversed())).toMatchObject({ digest });
    expect(await store.put(inChunks(bytes, 7), 'tar')).toMatchObject({ digest });
    expect(await store.put(Readable.from([gzipSync(bytes)]), 'tar')).toMatchObject({ digest });
    expect(await zip(FILES.map((entry) => ({ ...entry, mode: 0o100000 | (entry.mode ?? 0o644) })))).toMatchObject({
      digest,
    });
    expect(await readdir(directory)).toEqual([digest.slice('sha256:'.length)]);
  });

  test('of the same content at the same time is stored once', async () => {
    const { directory, tar } = await setUp();
    const results = await Promise.all([tar(FILES), tar(FILES), tar(FILES)]);
    expect(new Set(results.map(({ digest }) => digest)).size).toBe(1);
    expect(await readdir(directory)).toHaveLength(1);
  });

  test('with another content, name, executable bit or empty folder has another digest', async () => {
    const { tar } = await setUp();
    const variants: FixtureEntry[][] = [
      [{ name: 'a', content: 'x' }],
      [{ name: 'a', content: 'y' }],
      [{ name: 'b', content: 'x' }],
      [{ name: 'a', content: 'x', mode: 0o755 }],
      [
        { name: 'a', content: 'x' },
        { name: 'e', type: 'directory' },
      ],
      [{ name: 'a/b', content: 'x' }],
    ];
    const results = [];
    for (const variant of variants) results.push(await tar(variant));
    expect(new Set(results.map(({ digest }) => digest)).size).toBe(variants.length);
  });

  test('with long names in tar’s extensions is taken', async () => {
    const { store, tar } = await setUp();
    const name = `${'deep/'.repeat(20)}${'n'.repeat(200)}-é.js`;
    const { digest } = await tar([{ name, content: 'x' }]);
    expect(existsSync(join(store.directory(digest), name))).toBe(true);
  });
});

describe('an archive that is not plain files and folders is refused by entry, and nothing stays (fault cases 16 and 17)', () => {
  test.each<[string, readonly FixtureEntry[], string]>([
    ['a path up', [{ name: '../evil' }], '../evil'],
    ['an absolute path', [{ name: '/tmp/evil' }], '/tmp/evil'],
    ['a hidden path up', [{ name: 'a/../../evil' }], 'a/../../evil'],
    ['a backslash', [{ name: '..\\evil' }], '..\\\\evil'],
    ['a symbolic link', [{ name: 'l', type: 'symlink', linkname: '/etc' }], 'symbolic link'],
    [
      'a file through a symbolic link',
      [{ name: 'l', type: 'symlink', linkname: '/tmp' }, { name: 'l/evil' }],
      'symbolic link',
    ],
    ['a hard link', [{ name: 'l', type: 'link', linkname: '/etc/passwd' }], 'hard link'],
    ['a device', [{ name: 'd', type: 'character-device' }], 'device'],
    ['a disk', [{ name: 'd', type: 'block-device' }], 'device'],
    ['a pipe', [{ name: 'p', type: 'fifo' }], 'named pipe'],
    ['another kind', [{ name: 'c', type: 'contiguous-file' }], 'unknown kind'],
    ['a name twice', [{ name: 'a' }, { name: './a' }], 'twice'],
    ['names that differ by case', [{ name: 'README' }, { name: 'Readme' }], 'case'],
    ['a file as a folder', [{ name: 'a' }, { name: 'a/b' }], 'both'],
    ['nothing', [], 'no files'],
    ['only folders', [{ name: 'a', type: 'directory' }], 'no files'],
  ])('tar with %s', async (_what, entries, words) => {
    const { left, tar } = await setUp();
    await expect(
      tar([{ name: 'good.js', content: 'x' }, ...entries].slice(entries.length === 0 || words === 'no files' ? 1 : 0)),
    ).rejects.toMatchObject({
      code: 'CODE_INVALID',
      message: expect.stringContaining(words) as string,
    });
    expect(await left()).toEqual([]);
  });

  test.each<[string, Parameters<typeof makeZip>[0], string]>([
    ['a path up', [{ name: '../evil' }], '../evil'],
    ['an absolute path', [{ name: '/tmp/evil' }], '/tmp/evil'],
    ['a drive', [{ name: 'C:/evil' }], 'C:/evil'],
    ['a backslash', [{ name: 'a\\..\\evil' }], 'evil'],
    ['a symbolic link', [{ name: 'l', content: '/etc', mode: 0o120777 }], 'symbolic link'],
    ['a device', [{ name: 'd', mode: 0o020644 }], 'neither'],
    ['a folder that says it is a file', [{ name: 'd/', mode: 0o100644 }], 'neither'],
    ['a folder with content', [{ name: 'd/', mode: 0, content: 'x' }], 'folder with content'],
    ['a password', [{ name: 'a', content: 'x', encrypted: true }], 'encrypted'],
    ['a wrong checksum', [{ name: 'a', content: 'x', checksum: 1 }], 'checksum'],
    ['a length that is a lie', [{ name: 'a', content: 'x'.repeat(1000), declaredBytes: 10 }], 'zip'],
    ['a name twice', [{ name: 'a' }, { name: 'a' }], 'twice'],
    ['nothing', [], 'no files'],
  ])('zip with %s', async (_what, entries, words) => {
    const { left, zip } = await setUp();
    await expect(zip(entries)).rejects.toMatchObject({
      code: 'CODE_INVALID',
      message: expect.stringContaining(words) as string,
    });
    expect(await left()).toEqual([]);
  });

  test.each<[string, 'tar' | 'zip', (sound: Buffer) => Buffer]>([
    ['text', 'tar', () => Buffer.from('not an archive'.repeat(100))],
    ['text', 'zip', () => Buffer.from('not an archive'.repeat(100))],
    ['no bytes', 'tar', () => Buffer.alloc(0)],
    ['no bytes', 'zip', () => Buffer.alloc(0)],
    ['cut off', 'tar', (sound) => sound.subarray(0, 700)],
    ['cut off', 'zip', (sound) => sound.subarray(0, sound.length - 30)],
    ['cut off inside gzip', 'tar', (sound) => gzipSync(sound).subarray(0, -10)],
    ['of changed bytes inside gzip', 'tar', (sound) => gzipSync(sound).fill(0x55, 40, 60)],
  ])('%s as %s', async (_what, format, change) => {
    const { left, store } = await setUp();
    const sound =
      format === 'tar' ? await makeTar([{ name: 'a', content: 'x'.repeat(2000) }]) : makeZip([{ name: 'a' }]);
    await expect(store.put(Readable.from([change(sound)]), format)).rejects.toMatchObject({ code: 'CODE_INVALID' });
    expect(await left()).toEqual([]);
  });
});

describe('an archive over a limit is stopped early, and nothing stays (fault case 15)', () => {
  const zeros = Buffer.alloc(10 * 2 ** 20);

  test('too long as it is sent: it is not read to its end', async () => {
    const { left, store } = await setUp({ archiveBytes: 1000 });
    let sent = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      while (true) {
        sent += 100;
        yield Buffer.alloc(100);
      }
    };
    await expect(store.put(endless(), 'tar')).rejects.toMatchObject({ code: 'CODE_TOO_LARGE' });
    expect(sent).toBeLessThanOrEqual(1200);
    expect(await left()).toEqual([]);
  });

  test('tar bomb: gzip that unpacks to many times its size', async () => {
    const { left, store } = await setUp();
    const bomb = gzipSync(await makeTar([{ name: 'zeros', content: zeros }]));
    await expect(store.put(Readable.from([bomb]), 'tar')).rejects.toMatchObject({
      code: 'CODE_TOO_LARGE',
      message: expect.stringContaining('20 times') as string,
    });
    expect(await left()).toEqual([]);
  });

  test('tar bomb: one that hides behind the end of the tar', async () => {
    const { left, store } = await setUp();
    const bomb = gzipSync(Buffer.concat([await makeTar(FILES), zeros]));
    await expect(store.put(Readable.from([bomb]), 'tar')).rejects.toMatchObject({ code: 'CODE_TOO_LARGE' });
    expect(await left()).toEqual([]);
  });

  test('zip bomb: an entry that inflates', async () => {
    const { left, zip } = await setUp();
    await expect(zip([{ name: 'zeros', content: zeros }])).rejects.toMatchObject({ code: 'CODE_TOO_LARGE' });
    expect(await left()).toEqual([]);
  });

  test('zip bomb: many entries over the same bytes', async () => {
    const { left, zip } = await setUp();
    const content = Buffer.alloc(2 ** 20, 'a');
    const entries = Array.from({ length: 40 }, (_, index) => ({ name: `copy-${index}`, content }));
    await expect(zip(entries, { overlap: true })).rejects.toMatchObject({ code: 'CODE_TOO_LARGE' });
    expect(await left()).toEqual([]);
  });

  test('more unpacked bytes than allowed', async () => {
    const { left, tar } = await setUp({ unpackedBytes: 1000 });
    const half = { content: 'x'.repeat(600) };
    await expect(
      tar([
        { name: 'a', ...half },
        { name: 'b', ...half },
      ]),
    ).rejects.toMatchObject({ code: 'CODE_TOO_LARGE' });
    expect(await left()).toEqual([]);
  });

  test('a declared length of exabytes', async () => {
    const { left, store } = await setUp();
    const tar = await makeTar([{ name: 'a', content: 'x' }]);
    Buffer.from('80000000000fffffffffffff', 'hex').copy(tar, 124);
    let sum = 8 * 32;
    for (let at = 0; at < 512; at += 1) if (at < 148 || at >= 156) sum += tar.readUInt8(at);
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    await expect(store.put(Readable.from([tar]), 'tar')).rejects.toMatchObject({ code: 'CODE_INVALID' });
    expect(await left()).toEqual([]);
  });

  test.each(['tar', 'zip'] as const)(
    '%s with more entries than allowed, folders on the way included',
    async (format) => {
      const { left, tar, zip } = await setUp({ entries: 10 });
      const entries = [{ name: 'a/b/c/d/e/f/g/h/i/j' }, { name: 'k' }];
      await expect(format === 'tar' ? tar(entries) : zip(entries)).rejects.toMatchObject({ code: 'CODE_TOO_LARGE' });
      expect(await left()).toEqual([]);
    },
  );
});

describe('an upload that does not end well', () => {
  test('because the sender went away is refused and leaves nothing', async () => {
    const { left, store } = await setUp();
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield (await makeTar(FILES)).subarray(0, 100);
      throw new Error('aborted');
    };
    await expect(store.put(broken(), 'tar')).rejects.toMatchObject({ code: 'CODE_INVALID' });
    expect(await left()).toEqual([]);
  });

  test('because it was aborted while the sender was silent leaves nothing', async () => {
    const { left, store } = await setUp();
    const stop = new AbortController();
    const silent = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      setImmediate(() => stop.abort(new EbbError('BAD_REQUEST', 'gone')));
      await new Promise(() => {});
    };
    await expect(store.put(silent(), 'tar', stop.signal)).rejects.toMatchObject({ message: 'gone' });
    expect(await left()).toEqual([]);
  });

  test('because it was aborted before it began leaves nothing', async () => {
    const { left, store } = await setUp();
    const signal = AbortSignal.abort(new EbbError('BAD_REQUEST', 'gone'));
    await expect(store.put(Readable.from([await makeTar(FILES)]), 'tar', signal)).rejects.toMatchObject({
      message: 'gone',
    });
    expect(await left()).toEqual([]);
  });
});

describe('the store', () => {
  test('knows after a restart what it holds, and removes what a crash left unfinished', async () => {
    const { directory, tar } = await setUp();
    const { digest } = await tar(FILES);
    await mkdir(join(directory, '.unfinished-abc/tree/lib'), { recursive: true });
    await writeFile(join(directory, '.unfinished-abc/archive'), 'half');
    const again = await createCodeStore({ directory });
    expect(again.has(digest)).toBe(true);
    expect(again.directory(digest)).toBe(join(directory, digest.slice('sha256:'.length)));
    expect(await readdir(directory)).toHaveLength(1);
  });

  test.each(['', 'sha256:', `sha256:${'0'.repeat(64)}`, 'sha256:../../etc', '../../etc', '__proto__'])(
    'does not hold %j and gives no path for it (fault case 18)',
    async (digest) => {
      const { store } = await setUp();
      expect(store.has(digest)).toBe(false);
      expect(() => store.directory(digest)).toThrow(expect.objectContaining({ code: 'CODE_NOT_FOUND' }) as Error);
    },
  );

  test('sweeps what is neither in use nor young; a new upload of the same makes it young again', async () => {
    const { store, tar, pass, left } = await setUp();
    const [used, old, renewed] = [
      await tar([{ name: 'a', content: '1' }]),
      await tar([{ name: 'a', content: '2' }]),
      await tar([{ name: 'a', content: '3' }]),
    ];
    pass(60_000);
    await tar([{ name: 'a', content: '3' }]);
    const young = await tar([{ name: 'a', content: '4' }]);
    expect(await store.sweep(new Set([used.digest]), 60_000)).toEqual([old.digest]);
    expect([used, old, renewed, young].map(({ digest }) => store.has(digest))).toEqual([true, false, true, true]);
    expect(await left()).toHaveLength(3);
  });

  test('knows only what it holds, however sweeps and uploads of the same meet', async () => {
    const { store, tar } = await setUp();
    let isUploading = true;
    const sweeping = (async () => {
      while (isUploading) {
        await store.sweep(new Set(), 0);
        await nextTurn();
      }
    })();
    const upload = async (content: string) => {
      let digest = '';
      for (let n = 0; n < 12; n += 1) ({ digest } = await tar([{ name: 'a', content }]));
      return digest;
    };
    const digests = await Promise.all(['1', '1', '1', '2', '2'].map(upload)).finally(() => (isUploading = false));
    await sweeping;
    for (const digest of digests) if (store.has(digest)) expect(existsSync(store.directory(digest))).toBe(true);
  });

  test('that cannot write says so as STORE_FAILED', async () => {
    const { directory } = await setUp();
    await writeFile(join(directory, 'file'), '');
    await expect(createCodeStore({ directory: join(directory, 'file', 'below') })).rejects.toMatchObject({
      code: 'STORE_FAILED',
    });
  });

  test('leaves no descriptor open after refusals', async () => {
    const { store, directory } = await setUp();
    const bad = await makeTar([
      { name: 'a', content: 'x' },
      { name: '../b', content: 'x' },
    ]);
    for (let n = 0; n < 3; n += 1) await store.put(Readable.from([bad]), 'tar').catch(() => {});
    const open = await readdir('/proc/self/fd').catch(() => []);
    const targets = await Promise.all(open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    expect(targets.filter((target) => target.startsWith(directory))).toEqual([]);
  });
});
