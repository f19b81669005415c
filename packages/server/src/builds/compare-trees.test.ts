import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareTrees } from './compare-trees.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ebb-trees-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function tree(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = join(root, name);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(directory, path, '..'), { recursive: true });
    await writeFile(join(directory, path), content);
  }
  return directory;
}

test('files are told apart by path, size, content and whether they may be run', async () => {
  const before = await tree('before', {
    same: 'x',
    'lib/gone.ts': 'x',
    'lib/longer.ts': 'x',
    'lib/other.ts': 'ab',
    run: 'x',
  });
  const after = await tree('after', {
    same: 'x',
    'lib/new.ts': 'x',
    'lib/longer.ts': 'xx',
    'lib/other.ts': 'ac',
    run: 'x',
  });
  await chmod(join(after, 'run'), 0o755);
  expect(await compareTrees(before, after)).toEqual({
    added: ['lib/new.ts'],
    removed: ['lib/gone.ts'],
    changed: ['lib/longer.ts', 'lib/other.ts', 'run'],
    omitted: 0,
  });
});

test('of very many only a thousand are listed', async () => {
  const before = await tree('few', { a: '1' });
  const after = await tree('many', Object.fromEntries(Array.from({ length: 1002 }, (_, n) => [`f${n}`, ''])));
  const { added, removed, omitted } = await compareTrees(before, after);
  expect([added.length, removed.length, omitted]).toEqual([1000, 0, 3]);
});
