import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newItem } from '../../../../../testing/conformance/queue-items.ts';
import type { Queue, QueueRecord } from '../queue.ts';
import { createSqliteQueue } from './sqlite-queue.ts';

let folder = '';
let opened = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ebb-queue-faults-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const newPath = (): string => join(folder, `${(opened += 1)}`, 'queue.db');
const all = (queue: Queue): Promise<readonly QueueRecord[]> => queue.list({ namespace: 'acme', limit: 100_000 });

/**
 * A server's use of a queue, in a process of its own: it takes back what the one before had leased, then accepts, leases
 * and settles without end, and says each thing that was acknowledged in a line.
 */
function startWorker(path: string, run: number): ChildProcess {
  const script = `
    const { createSqliteQueue } = await import(${JSON.stringify(new URL('./sqlite-queue.ts', import.meta.url).href)});
    const queue = await createSqliteQueue({ path: ${JSON.stringify(path)} });
    const owner = 'run-${run}';
    const say = (...words) => process.stdout.write(words.join(' ') + '\\n');
    const strict = { key: 'k', order: 'strict', concurrency: 1, throttleMs: 0, debounceMs: 0 };
    await queue.reclaim({ now: Date.now(), owners: [owner] });
    say('ready');
    const submit = async (lane) => {
      for (let n = 0; ; n += 1) {
        const now = Date.now();
        const id = lane + '-${run}-' + n;
        await queue.enqueue([{
          id, namespace: 'acme', lane: 'acme/' + lane, priority: n % 10, method: 'POST', path: '/', headers: [],
          target: { kind: 'queue', namespace: 'acme', name: lane },
          body: { kind: 'bytes', bytes: Buffer.from(id.repeat(20)) },
          acceptedAt: now, runAt: now, expiresAt: now + 1e6, rules: n % 3 === 0 ? strict : undefined,
        }]);
        say('accepted', id);
      }
    };
    const work = async (lane) => {
      for (;;) {
        const now = Date.now();
        const { leases } = await queue.lease({ lane: 'acme/' + lane, max: 3, now, untilAt: now + 60_000, owner });
        for (const { record, attempt, receipt } of leases) say('leased', record.id, attempt, receipt);
        const results = await queue.settle(leases.map(({ record, attempt, receipt }, index) => {
          const end = index === 0 && attempt < 3 ? 'failed' : 'succeeded';
          const at = new Date(now).toISOString();
          return {
            receipt, now, attempt: { number: attempt, startedAt: at, endedAt: at, end },
            next: end === 'failed' ? { kind: 'retry', at: now, counts: true } : { kind: 'succeeded' },
            follow: end === 'failed' ? [] : [{ ...record, id: 'of-' + record.id, lane: 'acme/after' }],
          };
        }));
        for (const [index, { record, attempt, receipt }] of leases.entries()) {
          if (!results[index]) say('refused', record.id);
          else say(index === 0 && attempt < 3 ? 'retried' : 'settled', record.id, receipt);
        }
      }
    };
    for (const lane of ['a', 'b', 'c', 'd']) { submit(lane); work(lane); }
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** What several runs acknowledged. */
interface History {
  readonly accepted: Set<string>;
  readonly settled: Set<string>;
  /** Newest attempt of each call. */
  readonly attempts: Map<string, number>;
  /** Receipts that nobody settled by. */
  readonly held: Map<string, string>;
  readonly faults: string[];
}

function note(history: History, line: string): void {
  const [what = '', id = '', ...rest] = line.split(' ');
  if (what === 'accepted') history.accepted.add(id);
  if (what === 'refused') history.faults.push(`the newest receipt of ${id} was refused`);
  if (what === 'leased') {
    const attempt = Number(rest[0]);
    if (attempt <= (history.attempts.get(id) ?? 0)) history.faults.push(`attempt ${attempt} of ${id} came twice`);
    if (history.settled.has(id)) history.faults.push(`${id} was leased after it was settled`);
    history.attempts.set(id, attempt);
    history.held.set(rest[1] ?? '', id);
  }
  if (what === 'settled' || what === 'retried') history.held.delete(rest[0] ?? '');
  if (what === 'settled') {
    if (history.settled.has(id)) history.faults.push(`${id} was settled twice`);
    history.settled.add(id);
  }
}

describe('kill -9 at any moment', () => {
  test('loses nothing acknowledged, settles nothing twice, and leaves the dead no say (A1, A2, A4; cases 2, 3, 38)', async () => {
    const path = newPath();
    const history: History = {
      accepted: new Set(),
      settled: new Set(),
      attempts: new Map(),
      held: new Map(),
      faults: [],
    };
    for (let run = 0; run < 8; run += 1) {
      const child = startWorker(path, run);
      for await (const line of createInterface({ input: child.stdout ?? process.stdin })) {
        if (line === 'ready') setTimeout(() => child.kill('SIGKILL'), 20 + Math.random() * 200);
        else note(history, line);
      }

      await using queue = await createSqliteQueue({ path });
      const records = await all(queue);
      const byId = new Map(records.map((record) => [record.id, record]));
      expect(byId.size).toBe(records.length);
      expect([...history.accepted].filter((id) => !byId.has(id))).toEqual([]);
      expect([...history.settled].filter((id) => byId.get(id)?.state !== 'succeeded')).toEqual([]);
      // What follows was written in the same commit, or neither was.
      const done = records.filter(({ id, state }) => state === 'succeeded' && !id.startsWith('of-'));
      expect(done.filter(({ id }) => !byId.has(`of-${id}`))).toEqual([]);
      expect(records.filter(({ id }) => id.startsWith('of-') && byId.get(id.slice(3))?.state !== 'succeeded')).toEqual(
        [],
      );

      const counts = await queue.count('acme');
      expect(Object.values(counts).reduce((sum, count) => sum + count)).toBe(records.length);
      for (const [state, count] of Object.entries(counts)) {
        expect(records.filter((record) => record.state === state)).toHaveLength(count);
      }
      await queue.reclaim({ now: Date.now(), owners: [] });
      const zombies = [...history.held.keys()].map((receipt) => ({
        receipt,
        now: Date.now(),
        next: { kind: 'succeeded' as const },
      }));
      expect((await queue.settle(zombies)).filter(Boolean)).toEqual([]);
      expect((await queue.count('acme')).succeeded).toBe(counts.succeeded);
    }
    expect(history.faults).toEqual([]);
    expect(history.settled.size).toBeGreaterThan(20);
  }, 60_000);
});

describe('a damaged file (case 10)', () => {
  /** A queue as kill -9 leaves it: with everything in its log. Returns the log as it was after each commit. */
  async function killed() {
    const path = newPath();
    await using queue = await createSqliteQueue({ path });
    const lengths: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      await queue.enqueue([newItem(`i${n}`, { body: { kind: 'bytes', bytes: Buffer.alloc(6000, n) } })]);
      lengths.push((await stat(`${path}-wal`)).size);
    }
    const copy = join(`${path}-copy`, 'queue.db');
    await mkdir(`${path}-copy`);
    await copyFile(path, copy);
    return { path: copy, log: await readFile(`${path}-wal`), lengths };
  }

  async function idsAfterRecovery(path: string): Promise<readonly string[]> {
    await using queue = await createSqliteQueue({ path });
    const ids = (await all(queue)).map(({ id }) => id);
    // It is sound: what is there can be worked on, and more can come.
    expect(await queue.enqueue([newItem('new')])).toEqual([{ kind: 'accepted', id: 'new' }]);
    const { leases } = await queue.lease({ lane: 'acme/resize', max: 9, now: 2000, untilAt: 9000, owner: 'x' });
    expect(leases).toHaveLength(ids.length + 1);
    return ids;
  }

  test('whose last record was torn opens with every one before', async () => {
    const { path, log } = await killed();
    await writeFile(`${path}-wal`, log.subarray(0, log.length - 100));
    expect(await idsAfterRecovery(path)).toEqual(['i3', 'i2', 'i1', 'i0']);
  });

  test('whose last record has a flipped bit opens with every one before', async () => {
    const { path, log, lengths } = await killed();
    const at = Math.floor(((lengths[3] ?? 0) + (lengths[4] ?? 0)) / 2);
    log.writeUInt8(log.readUInt8(at) ^ 16, at);
    await writeFile(`${path}-wal`, log);
    expect(await idsAfterRecovery(path)).toEqual(['i3', 'i2', 'i1', 'i0']);
  });

  test('with a flipped bit before the last record is refused rather than cut off there', async () => {
    const { path, log, lengths } = await killed();
    const at = (lengths[1] ?? 0) - 100;
    log.writeUInt8(log.readUInt8(at) ^ 16, at);
    await writeFile(`${path}-wal`, log);
    await expect(createSqliteQueue({ path })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringMatching(/-wal has a damaged part with 4 writes behind it/) as string,
    });
    expect(await readFile(`${path}-wal`)).toEqual(log);
  });

  test('with one flipped bit in a payload or a state sets that call aside and leases the others', async () => {
    const path = newPath();
    {
      await using queue = await createSqliteQueue({ path });
      const rules = { key: 'k', order: 'strict', concurrency: 1, throttleMs: 0, debounceMs: 0 } as const;
      const body = (id: string) => ({ kind: 'bytes' as const, bytes: Buffer.from(`payload-of-${id}`) });
      await queue.enqueue(
        ['a', 'b', 'c', 'd'].map((id) => newItem(id, { body: body(id), rules: id > 'b' ? rules : undefined })),
      );
    }
    const bytes = await readFile(path);
    const at = bytes.indexOf('payload-of-b');
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await writeFile(path, bytes);
    const database = new DatabaseSync(path);
    database.exec("UPDATE states SET begun = 4 WHERE id = 'c'");
    database.close();

    await using queue = await createSqliteQueue({ path });
    const { leases } = await queue.lease({ lane: 'acme/resize', max: 9, now: 2000, untilAt: 9000, owner: 'x' });
    expect(leases.map(({ record }) => record.id)).toEqual(['a', 'd']);
    await expect(queue.get('b')).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('"b"') as string,
    });
    const again = await queue.lease({ lane: 'acme/resize', max: 9, now: 2000, untilAt: 9000, owner: 'x' });
    expect(again).toEqual({ leases: [], nextAt: undefined });
    expect(await queue.enqueue([newItem('e')])).toEqual([{ kind: 'accepted', id: 'e' }]);
  });

  test('with a damaged state of what runs takes back the others, and lists them', async () => {
    const path = newPath();
    {
      await using queue = await createSqliteQueue({ path });
      await queue.enqueue(['a', 'b', 'c'].map((id) => newItem(id)));
      await queue.lease({ lane: 'acme/resize', max: 9, now: 2000, untilAt: 9000, owner: 'x' });
    }
    const database = new DatabaseSync(path);
    database.exec("UPDATE states SET fence = 4 WHERE id = 'b'");
    database.close();

    await using queue = await createSqliteQueue({ path });
    expect(await queue.reclaim({ now: 3000, owners: [] })).toEqual(['acme/resize']);
    expect((await all(queue)).map(({ id, state }) => [id, state])).toEqual([
      ['c', 'queued'],
      ['a', 'queued'],
    ]);
  });
});

describe('a full disk (case 7)', () => {
  let disk: string | undefined;
  beforeAll(async () => {
    const place = await mkdtemp(join(tmpdir(), 'ebb-small-disk-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', place], { stdio: 'pipe' });
      disk = place;
    } catch {
      await rm(place, { recursive: true });
    }
  });
  afterAll(async () => {
    if (disk === undefined) return;
    execFileSync('umount', [disk]);
    await rm(disk, { recursive: true });
  });

  test('refuses writes as STORAGE_FULL and never accepts what it loses; it opens and reads go on, and so do writes with space again', async (context) => {
    if (disk === undefined) return context.skip('this user cannot mount a small disk');
    const path = join(disk, 'queue.db');
    const filler = join(disk, 'filler');
    await writeFile(filler, Buffer.alloc(2_500_000));
    const accepted: string[] = [];
    const codes = new Set<unknown>();
    {
      await using queue = await createSqliteQueue({ path });
      const submit = async (lane: number): Promise<void> => {
        for (let n = 0; n < 200; n += 1) {
          const id = `i-${lane}-${n}`;
          await queue.enqueue([newItem(id, { body: { kind: 'bytes', bytes: Buffer.alloc(8000, n) } })]);
          accepted.push(id);
        }
      };
      const ends = await Promise.allSettled(Array.from({ length: 8 }, (_, lane) => submit(lane)));
      for (const end of ends) codes.add(end.status === 'rejected' && (end.reason as { code?: unknown }).code);
      expect([...codes]).toEqual(['STORAGE_FULL']);
      expect(accepted.length).toBeGreaterThan(20);

      const [read, count, write] = await Promise.allSettled([
        queue.get(accepted.at(-1) ?? ''),
        queue.count('acme'),
        queue.enqueue([newItem('big', { body: { kind: 'bytes', bytes: Buffer.alloc(3_000_000) } })]),
      ]);
      expect(read).toMatchObject({ status: 'fulfilled', value: { id: accepted.at(-1), state: 'queued' } });
      expect(count).toMatchObject({ status: 'fulfilled' });
      expect(write).toMatchObject({ status: 'rejected', reason: { code: 'STORAGE_FULL' } });

      await rm(filler);
      expect(await queue.enqueue([newItem('after')])).toEqual([{ kind: 'accepted', id: 'after' }]);
      accepted.push('after');
    }
    {
      // Not a byte is left.
      await expect(writeFile(filler, Buffer.alloc(4_000_000))).rejects.toThrow('ENOSPC');
      await using queue = await createSqliteQueue({ path });
      const stored = new Set((await all(queue)).map(({ id }) => id));
      expect(accepted.filter((id) => !stored.has(id))).toEqual([]);
      await rm(filler);
    }
    await using queue = await createSqliteQueue({ path });
    const { leases } = await queue.lease({ lane: 'acme/resize', max: 5, now: 2000, untilAt: 9000, owner: 'x' });
    const next = { kind: 'succeeded' as const };
    expect(await queue.settle(leases.map(({ receipt }) => ({ receipt, now: 3000, next })))).toEqual(
      leases.map(() => true),
    );
  });
});
