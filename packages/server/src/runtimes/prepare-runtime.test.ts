import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { prepareNodeRuntime } from './prepare-runtime.ts';

describe('prepareNodeRuntime', () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'ebb-'));
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  test('makes plain JavaScript that every user may read, whatever the umask', async () => {
    const { directory, entry } = await prepareNodeRuntime({ dataDir });
    const names = await readdir(directory);
    expect(names).toContain(entry);
    expect(names.filter((name) => !name.endsWith('.mjs') || name.includes('.test.'))).toEqual([]);
    expect((await stat(directory)).mode & 0o777).toBe(0o755);
    expect((await stat(join(directory, entry))).mode & 0o777).toBe(0o644);
    for (const name of names) expect(await readFile(join(directory, name), 'utf8')).not.toMatch(/from '\.\/.*\.ts'/);
  });

  test('uses what is there, also when several ask at once', async () => {
    const [first, second] = await Promise.all([prepareNodeRuntime({ dataDir }), prepareNodeRuntime({ dataDir })]);
    expect(second).toEqual(first);
    await writeFile(join(first.directory, 'mark'), '');
    expect(await prepareNodeRuntime({ dataDir })).toEqual(first);
    expect(await readdir(first.directory)).toContain('mark');
    expect(await readdir(join(dataDir, 'runtimes'))).toHaveLength(1);
  });

  test('says where it could not write', async () => {
    await writeFile(join(dataDir, 'runtimes'), 'a file');
    await expect(prepareNodeRuntime({ dataDir })).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });
});
