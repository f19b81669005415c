import type { IncomingMessage } from 'node:http';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compiledKey, createCompiledStore } from './compiled-store.ts';

const NAME = 'v26.10.0-x64-310b2ce3';

describe('compiled code of versions', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ebb-compiled-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const answer = (...parts: readonly (string | Buffer)[]) =>
    Readable.from(parts.map((part) => Buffer.from(part))) as unknown as IncomingMessage;

  test('what was sent is found under its key, in the directory Node looks for', async () => {
    const store = createCompiledStore(directory);
    const key = compiledKey(['image', 'ns', 'f', '1', '/code']);
    expect([await store.find(key), store.claim(key), store.claim(key)]).toEqual([undefined, true, false]);
    const data = Buffer.from([0, 10, 255]);
    await store.receive(key, answer(`${NAME}-1234\n328c90f1 3\n`, data, 'ab 2\nxy'));
    expect(await store.find(key)).toEqual({ name: NAME, directory: join(directory, key, NAME) });
    expect(await readFile(join(directory, key, NAME, '328c90f1'))).toEqual(data);
    expect(await readFile(join(directory, key, NAME, 'ab'), 'utf8')).toBe('xy');
    expect(store.claim(key)).toBe(false);
    expect(await createCompiledStore(directory).find(key)).toMatchObject({ name: NAME });
  });

  test.each([
    ['a name that leads elsewhere', ['../../etc-1\nab 1\nx']],
    ['a file that leads elsewhere', [`${NAME}-1\n../x 1\nx`]],
    ['a file with a slash', [`${NAME}-1\na/b 1\nx`]],
    ['less than it says', [`${NAME}-1\nab 100\nx`]],
    ['no line at all', ['x']],
    ['no file', [`${NAME}-1\n`]],
    ['nothing', []],
    ['more than may be kept', [`${NAME}-1\nab 9500000\n`, Buffer.alloc(9_500_000)]],
  ])('%s is not kept, and leaves nothing', async (_what, parts) => {
    const store = createCompiledStore(directory);
    await store.receive('k', answer(...parts));
    expect(await store.find('k')).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
  });

  test('another version, function, namespace, code or runtime is another key', () => {
    const parts = ['image', 'ns', 'f', '1', '/code'];
    const keys = parts.map((part, index) => compiledKey(parts.with(index, `${part}x`)));
    expect(new Set([compiledKey(parts), ...keys]).size).toBe(6);
    expect(compiledKey(['a', 'bc'])).not.toBe(compiledKey(['ab', 'c']));
  });
});
