import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestFiles } from './digest-files.ts';
import { listFiles } from './list-files.ts';
import { packFiles } from './pack-files.ts';

describe('packing a code directory', () => {
  let root = '';
  let code = '';

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ebb-packing-'));
    code = join(root, 'code');
    await mkdir(code);
  });
  afterEach(() => rm(root, { recursive: true }));

  const write = async (path: string, content: string | Uint8Array = path) => {
    const file = join(code, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    return file;
  };
  const paths = () => listFiles(code).map((file) => file.path);

  /** What the archive holds, by the eyes of another reader. */
  const unpack = async () => {
    const entries = new Map<string, { content: Buffer; mode: number | undefined; type: string | null | undefined }>();
    const reader = extract();
    const reading = (async () => {
      for await (const entry of reader) {
        const chunks: Buffer[] = [];
        for await (const chunk of entry) chunks.push(Buffer.from(chunk as Buffer));
        const { name, mode, type } = entry.header;
        entries.set(name, { content: Buffer.concat(chunks), mode, type });
      }
    })();
    Readable.from(packFiles(listFiles(code))).pipe(reader);
    await reading;
    return entries;
  };

  test('keeps bytes and the executable bit of files of any size and name', async () => {
    const big = Buffer.alloc(3 * 2 ** 20 + 17, 'ebb');
    const long = `${'deep/'.repeat(40)}${'n'.repeat(150)}.js`;
    await write('index.js', 'export default 1;');
    await write('empty');
    await write('grüße/ö.txt', 'hallo');
    await write('big.bin', big);
    await write(long, 'long');
    await chmod(await write('bin/run', '#!/bin/sh'), 0o755);
    const entries = await unpack();
    expect([...entries.keys()]).toEqual(paths());
    expect(entries.get('big.bin')?.content.equals(big)).toBe(true);
    expect(entries.get(long)?.content.toString()).toBe('long');
    expect(entries.get('grüße/ö.txt')?.content.toString()).toBe('hallo');
    expect(entries.get('bin/run')?.mode).toBe(0o755);
    expect(entries.get('index.js')).toMatchObject({ mode: 0o644, type: 'file' });
  });

  test('leaves out .git, .ebb and what .ebbignore names', async () => {
    for (const path of [
      'index.js',
      '.git/HEAD',
      '.ebb/ebb.db',
      'sub/.git/x',
      'notes.md',
      'sub/notes.md',
      'keep.md',
      'tmp/a',
      'sub/tmp/b',
    ])
      await write(path);
    await write('.ebbignore', '# notes\n*.md\n!keep.md\n/tmp/\n');
    expect(paths()).toEqual(['index.js', 'keep.md', 'sub/tmp/b']);
  });

  test('turns links inside the directory into plain files', async () => {
    await write('lib/real.js', 'real');
    await mkdir(join(code, 'bin'));
    await symlink('../lib/real.js', join(code, 'bin', 'tool'));
    await symlink('lib', join(code, 'alias'));
    const entries = await unpack();
    expect([...entries.keys()]).toEqual(['alias/real.js', 'bin/tool', 'lib/real.js']);
    expect([...entries.values()].map((entry) => [entry.type, entry.content.toString()])).toEqual(
      Array.from({ length: 3 }, () => ['file', 'real']),
    );
  });

  test.each([
    ['a link out of it', '../secret', 'outside'],
    ['an absolute link out of it', '/etc/hostname', 'outside'],
    ['a link to nothing', 'gone', 'is a link to nothing'],
    ['a link to a folder it is in', '.', 'is a link to a folder it is in'],
  ])('refuses %s and says how to leave it out', async (_what, target, words) => {
    await write('index.js');
    await writeFile(join(root, 'secret'), 's');
    await symlink(target, join(code, 'link'));
    expect(() => listFiles(code)).toThrow(words);
    expect(() => listFiles(code)).toThrow('a line "/link" in .ebbignore');
    await write('.ebbignore', '/link');
    expect(paths()).toEqual(['index.js']);
  });

  test('refuses what is neither file nor folder', async () => {
    await promisify(execFile)('mkfifo', [join(code, 'pipe')]);
    expect(() => listFiles(code)).toThrow('is neither a file nor a folder');
  });

  test('says so when the directory does not exist or is a file', async () => {
    expect(() => listFiles(join(root, 'none'))).toThrow('does not exist');
    await write('file');
    expect(() => listFiles(join(code, 'file'))).toThrow('is not a directory');
  });

  test('a file that vanished meanwhile ends the archive with its name', async () => {
    const gone = await write('gone.js');
    const files = listFiles(code);
    await rm(gone);
    await expect(Array.fromAsync(packFiles(files))).rejects.toThrow('gone.js changed or could not be read');
  });

  test('an archive that nobody reads to its end leaves nothing running', async () => {
    await write('big.bin', Buffer.alloc(4 * 2 ** 20));
    for await (const chunk of packFiles(listFiles(code))) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });

  test('the digest changes with content, name and executable bit, and with nothing else', async () => {
    const file = await write('a.js', 'one');
    const cache = new Map();
    const digest = () => digestFiles(listFiles(code), cache);
    const first = await digest();
    await utimes(file, 1, 1);
    expect(await digest()).toBe(first);
    await chmod(file, 0o755);
    const executable = await digest();
    expect(executable).not.toBe(first);
    await write('a.js', 'two');
    expect(await digest()).not.toBe(executable);
    await write('b.js', 'one');
    expect(new Set([await digest(), first, executable]).size).toBe(3);
  });
});
