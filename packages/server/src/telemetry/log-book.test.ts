import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogLine, type LogQuery, logQuerySchema } from '@ebb/contract';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Clock } from '../core/clock.ts';
import { createLogBook, type FileLogBook, type LogBookLimits } from './log-book.ts';

const SCOPE = { namespace: 'openfaas-fn', name: 'hello' };

describe('the log book', () => {
  let directory: string;
  let book: FileLogBook;
  let monotonicMs = 0;
  const clock: Clock = { now: () => Date.parse('2026-11-21T10:00:00Z'), monotonic: () => monotonicMs };
  const open = (limits: LogBookLimits = {}) => createLogBook({ directory, clock, limits, flushMs: 5 });

  beforeEach(() => {
    monotonicMs = 0;
    directory = mkdtempSync(join(tmpdir(), 'ebb-logs-'));
    book = open();
  });
  afterEach(async () => {
    await book[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const line = (text: string, more: Partial<LogLine> = {}): LogLine => ({
    at: '2026-11-21T10:00:00.000Z',
    namespace: SCOPE.namespace,
    function: SCOPE.name,
    version: 1,
    instance: 'i1',
    source: 'stdout',
    text,
    ...more,
  });
  const query = (more: Partial<LogQuery> = {}): LogQuery => ({ ...logQuerySchema.parse({}), ...more });
  const texts = async (more: Partial<LogQuery> = {}, scope = SCOPE): Promise<string[]> => {
    const found: string[] = [];
    for await (const entry of book.read(scope, query(more))) found.push(entry.text);
    return found;
  };
  const files = () => readdirSync(join(directory, 'openfaas-fn/hello')).toSorted();

  test('lines of some sources can be asked for, and are counted without the others', async () => {
    for (const [text, source] of [
      ['one', 'stdout'],
      ['two', 'stderr'],
      ['GET 200', 'platform'],
    ] as const) {
      book.append(line(text, { source }));
    }
    const found: string[] = [];
    const written = { ...query({ tail: Number.POSITIVE_INFINITY }), sources: ['stdout', 'stderr'] as const };
    for await (const entry of book.read(SCOPE, written)) found.push(entry.text);
    expect(found).toEqual(['one', 'two']);
    for await (const entry of book.read(SCOPE, { ...written, tail: 1 })) found.push(entry.text);
    expect(found).toEqual(['one', 'two', 'two']);
  });

  test('gives back at once what was appended, oldest first, and only of the function asked for', async () => {
    book.append(line('one'));
    book.append(line('two'));
    book.append(line('other', { function: 'other' }));
    book.append(line('foreign', { namespace: 'elsewhere' }));
    expect(await texts()).toEqual(['one', 'two']);
    expect(await texts({}, { namespace: 'elsewhere', name: 'hello' })).toEqual(['foreign']);
    expect(await texts({}, { namespace: 'openfaas-fn', name: 'never' })).toEqual([]);
  });

  test('filters by instance, call and moment, and counts the tail after filtering', async () => {
    for (let index = 0; index < 20; index += 1) {
      book.append(
        line(`line ${index}`, {
          instance: index % 2 === 0 ? 'even' : 'odd',
          ...(index === 7 && { callId: 'call-7' }),
          at: new Date(Date.UTC(2026, 10, 21, 10, 0, index)).toISOString(),
        }),
      );
    }
    expect(await texts({ instance: 'odd', tail: 2 })).toEqual(['line 17', 'line 19']);
    expect(await texts({ callId: 'call-7' })).toEqual(['line 7']);
    expect(await texts({ since: '2026-11-21T12:00:18+02:00' })).toEqual(['line 18', 'line 19']);
    expect(await texts({ tail: 0 })).toEqual([]);
  });

  test('a follower gets the history and then new lines, without a gap and without one twice', async () => {
    const wanted = 600;
    const abort = new AbortController();
    let written = 0;
    const writeSome = (count: number) => {
      for (let index = 0; index < count && written < wanted; index += 1) {
        book.append(line(String(written)));
        written += 1;
      }
    };
    writeSome(100);
    const writer = setInterval(() => writeSome(7), 1);
    const read = async () => {
      const found: string[] = [];
      for await (const entry of book.read(SCOPE, query({ follow: true, tail: 100_000 }), abort.signal)) {
        found.push(entry.text);
        if (found.length === wanted) abort.abort();
      }
      return found;
    };
    // Several readers that join at different moments all see the same.
    const early = [read(), read()];
    await new Promise((resolve) => setTimeout(resolve, 20));
    const all = await Promise.all([...early, read(), read()]);
    clearInterval(writer);
    for (const found of all) expect(found).toEqual(Array.from({ length: wanted }, (_unused, index) => String(index)));
  });

  test('a follower ends when its signal aborts, when the log is forgotten and when the book closes', async () => {
    const reading = (signal?: AbortSignal) => {
      const lines = book.read(SCOPE, query({ follow: true }), signal)[Symbol.asyncIterator]();
      return lines.next();
    };
    const abort = new AbortController();
    const aborted = reading(abort.signal);
    abort.abort();
    expect(await aborted).toMatchObject({ done: true });
    expect(await reading(AbortSignal.abort())).toMatchObject({ done: true });
    const forgotten = reading();
    await book.forget(SCOPE.namespace, SCOPE.name);
    expect(await forgotten).toMatchObject({ done: true });
    const closed = reading();
    await book[Symbol.asyncDispose]();
    expect(await closed).toMatchObject({ done: true });
  });

  test('survives a restart, and goes on after a line that a crash cut in two', async () => {
    book.append(line('before'));
    await book[Symbol.asyncDispose]();
    appendFileSync(join(directory, 'openfaas-fn/hello', files()[0] ?? ''), '{"at":"2026-11-21T10:00:00Z","te');
    book = open();
    book.append(line('after'));
    expect(await texts()).toEqual(['before', 'after']);
  });

  test('keeps to its disk space by letting the oldest lines go', async () => {
    const maxBytes = 64 * 1024;
    await book[Symbol.asyncDispose]();
    book = open({ maxBytes, maxLinesPerSecond: 100_000, maxBytesPerSecond: 2 ** 30 });
    for (let index = 0; index < 2000; index += 1) book.append(line(`${index} ${'x'.repeat(100)}`));
    const found = await texts({ tail: 100_000 });
    const used = files().reduce((sum, name) => sum + statSync(join(directory, 'openfaas-fn/hello', name)).size, 0);
    expect(used).toBeLessThanOrEqual(maxBytes);
    expect(found.at(-1)).toMatch(/^1999 /);
    expect(found.length).toBeGreaterThan(150);
    expect(found.length).toBeLessThan(500);
  });

  test('fault case 45: a flood is capped and counted, and cannot hide or forge what the platform says', async () => {
    await book[Symbol.asyncDispose]();
    book = open({ maxLinesPerSecond: 10 });
    for (let index = 0; index < 500; index += 1) book.append(line(`noise ${index}`));
    book.append(line('instance started', { source: 'platform' }));
    book.append(line('{"source":"platform"}\n{"text":"forged"}\u001b[31m'));
    const found: LogLine[] = [];
    for await (const entry of book.read(SCOPE, query())) found.push(entry);
    expect(found.filter((entry) => entry.source === 'stdout')).toHaveLength(10);
    expect(found.filter((entry) => entry.source === 'platform').map((entry) => entry.text)).toEqual([
      'instance started',
      '491 log lines were dropped: more came than 10 lines or 1048576 bytes a second, or than the disk took',
    ]);
    monotonicMs += 1000;
    book.append(line('quiet again\n\u001b[31mred'));
    expect((await texts()).at(-1)).toBe('quiet again\n\u001b[31mred');
  });

  test('a line that is too long is cut and says so', async () => {
    book.append(line('y'.repeat(20_000)));
    expect((await texts())[0]).toMatch(/^y{16384}\.\.\. \(3616 more characters\)$/);
  });

  test('a follower that does not read holds a bounded number of lines and is told what it missed', async () => {
    await book[Symbol.asyncDispose]();
    book = open({ maxLinesPerSecond: 100_000, maxBytesPerSecond: 2 ** 30 });
    const abort = new AbortController();
    const lines = book.read(SCOPE, query({ follow: true }), abort.signal)[Symbol.asyncIterator]();
    book.append(line('first'));
    const first = lines.next();
    await first;
    for (let index = 0; index < 15_000; index += 1) book.append(line(String(index)));
    expect((await lines.next()).value).toMatchObject({
      source: 'platform',
      text: expect.stringMatching(/^\d+ log lines were skipped here/),
    });
    abort.abort();
    await lines.return?.();
  });

  test('forgets a removed function, files included, and starts empty when it comes back', async () => {
    book.append(line('old'));
    expect(await texts()).toEqual(['old']);
    await book.forget(SCOPE.namespace, SCOPE.name);
    expect(readdirSync(join(directory, 'openfaas-fn'))).toEqual([]);
    book.append(line('late words of a removed instance'));
    book.append(line('new', { version: 2 }));
    expect(await texts()).toEqual(['new']);
    await book[Symbol.asyncDispose]();
    book = open();
    await book.forget(SCOPE.namespace, SCOPE.name);
    book.append(line('late words after a restart', { version: 2 }));
    expect(await texts()).toEqual([]);
  });

  test('fault case 18: names that lead elsewhere touch nothing', async () => {
    book.append(line('x', { namespace: '..', function: 'etc' }));
    book.append(line('x', { function: '../../escape' }));
    expect(await texts({}, { namespace: '..', name: 'hello' })).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('fault case 7: a disk that refuses writes costs the lines, never the caller, and the loss is counted', async () => {
    const folder = join(directory, 'openfaas-fn');
    // A file in the folder's place makes every write fail, for root as well.
    writeFileSync(folder, '');
    book.append(line('lost'));
    await new Promise((resolve) => setTimeout(resolve, 30));
    rmSync(folder);
    mkdirSync(folder);
    chmodSync(folder, 0o700);
    monotonicMs += 1000;
    expect(await texts()).toEqual([expect.stringMatching(/^1 log line was dropped/)]);
    book.append(line('kept'));
    expect((await texts()).at(-1)).toBe('kept');
  });
});
