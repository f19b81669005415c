import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JOB_STREAM, jobSpecSchema } from '@ebb/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JobRecord } from './job-record.ts';
import { toJobResource } from './job-resource.ts';
import { openJobStream } from './job-stream.ts';
import { createLineSplitter } from './line-splitter.ts';
import { LiveJob } from './live-job.ts';
import { createResultFiles } from './result-files.ts';
import { runIdOf, taskEnvironment, taskHeaders } from './task-context.ts';

const record: JobRecord = {
  id: 'thumbs-1a2b3c4d',
  name: 'thumbs',
  namespace: 'n',
  spec: jobSpecSchema.parse({ image: 'a' }),
  count: 12,
  inputEntries: 0,
  state: 'queued',
  createdAt: 0,
};

describe('what a task is told', () => {
  const attempt = { job: record, index: 3, attempt: 2, input: 'x' };

  test('is under Ebb’s names and those the field knows', () => {
    expect(taskEnvironment(attempt)).toMatchObject({
      EBB_JOB: 'thumbs-1a2b3c4d',
      EBB_TASK_INDEX: '3',
      EBB_TASK_COUNT: '12',
      EBB_TASK_ATTEMPT: '2',
      EBB_TASK_INPUT: 'x',
      CLOUD_RUN_TASK_INDEX: '3',
      CLOUD_RUN_TASK_ATTEMPT: '1',
      JOB_COMPLETION_INDEX: '3',
      AWS_BATCH_JOB_ARRAY_INDEX: '3',
      AWS_BATCH_JOB_ARRAY_SIZE: '12',
      SLURM_ARRAY_TASK_ID: '3',
    });
    expect(taskHeaders(attempt)).toContain('X-Ebb-Task-Attempt');
  });

  test('an input too long for an environment comes on standard input alone', () => {
    expect(taskEnvironment({ ...attempt, input: 'x'.repeat(40_000) })).not.toHaveProperty('EBB_TASK_INPUT');
  });

  test('each attempt has a container id of its own', () => {
    expect(runIdOf(attempt)).toBe('job-1a2b3c4d-3-2');
  });
});

describe('the result of a task', () => {
  test('is what was written, up to the limit, in the store or in a file; a failed attempt leaves nothing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ebb-results-'));
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ maxLength: 70_000 }), { maxLength: 4 }),
          fc.nat(200_000),
          async (pieces, max) => {
            const results = createResultFiles(directory, max);
            const collector = results.collect('job', 1, 1);
            for (const piece of pieces) await collector.write(piece);
            const result = await collector.finish();
            const all = Buffer.concat(pieces);
            const read =
              result && Buffer.concat(await Array.fromAsync(results.open('job', 1, result) as AsyncIterable<Buffer>));
            expect(read?.equals(all.subarray(0, max))).toBe(true);
            expect(result?.truncated ?? false).toBe(all.length > max);
            expect(result?.sizeBytes).toBe(Math.min(all.length, max));
          },
        ),
        { numRuns: 25 },
      );
      const given = createResultFiles(directory, 2 ** 20).collect('job', 2, 1);
      await given.write(Buffer.alloc(100_000));
      await given.discard();
      expect((await readdir(join(directory, 'job'))).filter((name) => name.startsWith('2'))).toEqual([]);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

describe('the queue of a job', () => {
  test('hands out every task exactly once, and again only what was put back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.array(fc.boolean(), { maxLength: 60 }), (count, fails) => {
        const live = new LiveJob({ ...record, count }, new Map(), 0, 0);
        const given: number[] = [];
        const again: number[] = [];
        for (let turn = 0; ; turn += 1) {
          const taken = live.take(turn);
          if (!taken) break;
          given.push(taken.index);
          const state = fails[turn] === true ? 'queued' : 'succeeded';
          if (state === 'queued') again.push(taken.index);
          live.settle(taken.index, { ...taken.row, attempt: taken.row.attempt + 1, state }, turn);
        }
        const first = Array.from({ length: count }, (_, index) => index);
        expect(given.toSorted((a, b) => a - b)).toEqual([...first, ...again].toSorted((a, b) => a - b));
        expect(live.counts).toEqual({ queued: 0, running: 0, succeeded: count, failed: 0, cancelled: 0 });
      }),
    );
  });
});

describe('lines of output', () => {
  test('are the same however the output is cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.array(fc.nat(5)), (text, cuts) => {
        const lines: string[] = [];
        const splitter = createLineSplitter((line) => lines.push(line));
        const bytes = Buffer.from(text);
        let at = 0;
        for (const cut of cuts) {
          splitter.write(bytes.subarray(at, at + cut));
          at += cut;
        }
        splitter.write(bytes.subarray(at));
        splitter.end();
        const expected = Buffer.from(text).toString().split('\n');
        if (expected.at(-1) === '') expected.pop();
        expect(lines.map((line) => line.replace(/\r$/, ''))).toEqual(expected.map((line) => line.replace(/\r$/, '')));
      }),
    );
  });
});

describe('a streamed job', () => {
  test('sends pieces as they come, waits for the reader, and ends with how it ended', async () => {
    const stream = openJobStream((async function* () {})(), new AbortController().signal);
    const pieces = stream.pieces[Symbol.asyncIterator]();
    let isTaken = false;
    void Promise.resolve(stream.onOutput('stdout', Buffer.from('hi'))).then(() => (isTaken = true));
    const first = await pieces.next();
    expect(Buffer.from(first.value as Uint8Array)).toEqual(Buffer.from([JOB_STREAM.output, 0, 0, 0, 2, 104, 105]));
    expect(isTaken).toBe(false);
    const job = toJobResource(record, undefined, 0);
    stream.end({ job, task: { index: 0, state: 'succeeded', attempt: 1, failures: 0, lost: 0 } });
    const last = await pieces.next();
    expect(isTaken).toBe(true);
    expect((last.value as Uint8Array)[0]).toBe(JOB_STREAM.end);
    expect((await pieces.next()).done).toBe(true);
  });

  test('throws away what nobody reads any more, so that the task is not held up', async () => {
    const gone = new AbortController();
    const stream = openJobStream((async function* () {})(), gone.signal);
    const writing = Promise.resolve(stream.onOutput('stdout', Buffer.from('hi')));
    gone.abort();
    await writing;
    expect(stream.onOutput('stdout', Buffer.from('more'))).toBeUndefined();
  });
});
