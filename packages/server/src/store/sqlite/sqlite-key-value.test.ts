import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyValueConformance } from '../../../../../testing/conformance/key-value.ts';
import type { KeyValue } from '../key-value.ts';
import { createSqliteKeyValue } from './sqlite-key-value.ts';

let folder = '';
let opened = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ebb-store-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const newPath = (): string => join(folder, `${(opened += 1)}`, 'store.db');

keyValueConformance('sqlite', () => createSqliteKeyValue({ path: newPath() }));

async function filled(entries: number): Promise<string> {
  const path = newPath();
  await using store = await createSqliteKeyValue({ path });
  await store.commit(
    Array.from({ length: entries }, (_, index) => ({ kind: 'set', key: `key/${index}`, value: `value-${index}` })),
  );
  return path;
}

/** Runs a module in a Node process of its own; `setup` is shell code before it. */
function run(source: string, setup = 'true'): ChildProcess {
  const script = `
    const { createSqliteKeyValue } = await import(${JSON.stringify(new URL('./sqlite-key-value.ts', import.meta.url).href)});
    ${source}`;
  const command = `${setup}; exec "$0" --input-type=module -e "$1"`;
  return spawn('/bin/sh', ['-c', command, process.execPath, script], { stdio: ['ignore', 'pipe', 'inherit'] });
}

const lines = (child: ChildProcess): AsyncIterable<string> =>
  child.stdout ? createInterface({ input: child.stdout }) : ([] as never);

describe('what is on disk', () => {
  test('stays after the store is closed and opened again', async () => {
    const path = await filled(3);
    await using store = await createSqliteKeyValue({ path });
    expect((await store.list('key/')).map(({ value }) => value)).toEqual(['value-0', 'value-1', 'value-2']);
  });

  test('every acknowledged write is there after kill -9 in the middle of writing (A1)', async () => {
    const path = newPath();
    const child = run(`
      const store = await createSqliteKeyValue({ path: ${JSON.stringify(path)} });
      const write = async (lane) => {
        for (let n = 0; ; n += 1) {
          await store.commit([{ kind: 'set', key: lane + '/' + n, value: 'x'.repeat(500) }]);
          process.stdout.write(lane + '/' + n + '\\n');
        }
      };
      for (const lane of 'abcdefgh') write(lane);
    `);
    const acknowledged: string[] = [];
    for await (const line of lines(child)) {
      acknowledged.push(line);
      if (acknowledged.length === 400) child.kill('SIGKILL');
    }
    await using store = await createSqliteKeyValue({ path });
    const stored = new Set((await store.list('')).map(({ key }) => key));
    expect(acknowledged.length).toBeGreaterThanOrEqual(400);
    expect(acknowledged.filter((key) => !stored.has(key))).toEqual([]);
  });

  test('a write that the disk refuses is STORE_FAILED, reads go on, and nothing acknowledged is lost', async () => {
    const path = newPath();
    const child = run(
      `
      const store = await createSqliteKeyValue({ path: ${JSON.stringify(path)} });
      let last = -1;
      try {
        for (let n = 0; n < 1000; n += 1) {
          await store.commit([{ kind: 'set', key: 'n', value: n + ' '.repeat(20_000) }]);
          last = n;
        }
      } catch (error) {
        const [read, again] = await Promise.allSettled([store.get('n'), store.commit([{ kind: 'set', key: 'm', value: ' '.repeat(900_000) }])]);
        process.stdout.write(JSON.stringify({ code: error.code, message: error.message, last, read: parseInt(read.value?.value), again: again.reason?.code }) + '\\n');
      }
      await store[Symbol.asyncDispose]().catch(() => {});
    `,
      // A process that ignores the signal gets an I/O error beyond the limit instead.
      "trap '' XFSZ; ulimit -f 1200",
    );
    let outcome: Record<string, unknown> = {};
    for await (const line of lines(child)) outcome = JSON.parse(line) as Record<string, unknown>;
    expect(outcome).toMatchObject({ code: 'STORE_FAILED', again: 'STORE_FAILED', read: outcome['last'] });
    expect(outcome['message']).toContain(path);

    await using store = await createSqliteKeyValue({ path });
    expect(Number.parseInt((await store.get('n'))?.value ?? '', 10)).toBe(outcome['last']);
    expect(await store.get('m')).toBeUndefined();
  });

  test('is readable by the user of the server alone', async () => {
    const path = newPath();
    await using store = await createSqliteKeyValue({ path });
    await store.commit([{ kind: 'set', key: 'a', value: '1' }]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(`${path}-wal`)).mode & 0o777).toBe(0o600);
  });

  test('belongs to one process at a time', async () => {
    const path = newPath();
    await using store = await createSqliteKeyValue({ path });
    await store.commit([{ kind: 'set', key: 'a', value: '1' }]);
    const child = run(`
      const outcome = await createSqliteKeyValue({ path: ${JSON.stringify(path)} }).catch((error) => error.code);
      process.stdout.write(outcome + '\\n');
    `);
    const output: string[] = [];
    for await (const line of lines(child)) output.push(line);
    expect(output).toEqual(['DATA_DIR_IN_USE']);
  });
});

describe('a damaged file (fault case 10)', () => {
  const refusal = async (path: string): Promise<unknown> => {
    const before = await readFile(path);
    const error: unknown = await createSqliteKeyValue({ path }).then(
      async (store: KeyValue) => {
        await store[Symbol.asyncDispose]();
        return 'opened';
      },
      (cause: unknown) => cause,
    );
    expect(await readFile(path)).toEqual(before);
    return error;
  };

  const named = (path: string) => ({
    code: 'STORE_FAILED',
    message: expect.stringMatching(new RegExp(`^${path} is damaged .*backup`)) as string,
  });

  test('that is no database is refused by name with what to do, and left as it is', async () => {
    const path = await filled(3);
    await writeFile(path, 'this is something else entirely, and long enough to be looked at '.repeat(100));
    expect(await refusal(path)).toMatchObject(named(path));
  });

  test('whose pages were overwritten is refused, never emptied', async () => {
    const path = await filled(2000);
    const file = await open(path, 'r+');
    await file.write(Buffer.alloc(4096, 0x5a), 0, 4096, 8192);
    await file.close();
    expect(await refusal(path)).toMatchObject(named(path));
  });

  test('that was cut off is refused', async () => {
    const path = await filled(2000);
    await truncate(path, 8192);
    expect(await refusal(path)).toMatchObject(named(path));
  });

  test('with one flipped bit in a value fails for that entry alone', async () => {
    const path = await filled(10);
    const bytes = await readFile(path);
    const at = bytes.indexOf('value-7');
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await writeFile(path, bytes);
    await using store = await createSqliteKeyValue({ path });
    const [seven, eight, write] = await Promise.allSettled([
      store.get('key/7'),
      store.get('key/8'),
      store.commit([{ kind: 'set', key: 'key/11', value: 'new' }]),
    ]);
    expect(seven).toMatchObject({ reason: { ...named(path), message: expect.stringContaining('"key/7"') as string } });
    expect(eight).toMatchObject({ value: { value: 'value-8' } });
    expect(write).toMatchObject({ value: { kind: 'committed' } });
  });

  /** A store as kill -9 leaves it: with everything in its log. Returns the log as it was after each commit. */
  async function killed(): Promise<{
    readonly path: string;
    readonly log: Buffer;
    readonly lengths: readonly number[];
  }> {
    const path = await filled(1);
    await using store = await createSqliteKeyValue({ path });
    const lengths: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      await store.commit([{ kind: 'set', key: `late/${n}`, value: 'x'.repeat(6000) }]);
      lengths.push((await stat(`${path}-wal`)).size);
    }
    const copy = join(`${path}-copy`, 'store.db');
    await mkdir(`${path}-copy`);
    await copyFile(path, copy);
    await copyFile(`${path}-wal`, `${copy}-wal`);
    return { path: copy, log: await readFile(`${copy}-wal`), lengths };
  }

  const lateKeys = async (path: string): Promise<readonly string[]> => {
    await using store = await createSqliteKeyValue({ path });
    return (await store.list('late/')).map(({ key }) => key);
  };

  test('whose log was damaged in the middle is refused rather than cut off there', async () => {
    const { path, log, lengths } = await killed();
    const at = (lengths[1] ?? 0) - 100;
    log.writeUInt8(log.readUInt8(at) ^ 1, at);
    await writeFile(`${path}-wal`, log);
    expect(await refusal(path)).toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringMatching(/-wal has a damaged part with 4 writes behind it/) as string,
    });
    expect(await readFile(`${path}-wal`)).toEqual(log);
  });

  test('whose log was torn at its end by a crash opens with everything before', async () => {
    const { path, log, lengths } = await killed();
    expect(lengths.at(-1)).toBe(log.length);
    await writeFile(`${path}-wal`, log.subarray(0, log.length - 100));
    expect(await lateKeys(path)).toEqual(['late/0', 'late/1', 'late/2', 'late/3']);
  });

  test('whose last commit reached the disk in part opens with everything before', async () => {
    const { path, log, lengths } = await killed();
    await writeFile(`${path}-wal`, log.fill(0, lengths[3], (lengths[3] ?? 0) + 4096 + 24));
    expect(await lateKeys(path)).toEqual(['late/0', 'late/1', 'late/2', 'late/3']);
  });

  test('of a newer server is refused and says so', async () => {
    const path = await filled(1);
    const database = new DatabaseSync(path);
    database.exec('UPDATE schema_version SET version = 99');
    database.close();
    await expect(createSqliteKeyValue({ path })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('newer server (schema 99') as string,
    });
  });

  test('a path that cannot be opened says which and why', async () => {
    const path = join(await filled(1), 'below-a-file', 'store.db');
    await expect(createSqliteKeyValue({ path })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining(path) as string,
    });
  });
});

test('a process that forgets to close the store still ends, with what it wrote on disk', async () => {
  const path = newPath();
  const child = run(`
    const store = await createSqliteKeyValue({ path: ${JSON.stringify(path)} });
    store.commit([{ kind: 'set', key: 'a', value: '1' }]);
  `);
  child.stdout?.resume();
  expect(await once(child, 'exit')).toEqual([0, null]);
  await using store = await createSqliteKeyValue({ path });
  expect((await store.get('a'))?.value).toBe('1');
});
