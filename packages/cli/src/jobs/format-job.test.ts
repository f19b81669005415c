import { jobSpecSchema, type JobResource } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { formatEnd, formatProgress, formatProgressLine } from './format-job.ts';

const plain = { style: (_: string, text: string) => text };
const job: JobResource = {
  id: 'thumbs-1a2b3c4d',
  name: 'thumbs',
  namespace: 'n',
  state: 'running',
  spec: jobSpecSchema.parse({ image: 'a' }),
  count: 100,
  tasks: { queued: 42, running: 8, succeeded: 47, failed: 3, cancelled: 0 },
  lost: 2,
  createdAt: '2026-01-01T00:00:00.000Z',
  startedAt: '2026-01-01T00:00:01.000Z',
};

describe('how a job goes on', () => {
  test('is a bar with counts, failures, rate and the time that is left', () => {
    expect(formatProgress(job, { perSecond: 10 }, plain)).toBe(
      'thumbs-1a2b3c4d  ━━━━━━━━━━━━────────────  50/100  3 failed  8 running  2 lost  10/s  5 s left',
    );
  });

  test('is a plain line where nobody watches', () => {
    expect(formatProgressLine(job, { perSecond: 0 })).toBe(
      'thumbs-1a2b3c4d: 50/100 (50 %), 3 failed, 8 running, 2 lost',
    );
  });

  test('ends with what became of the tasks and why', () => {
    const tasks = { queued: 0, running: 0, succeeded: 60, failed: 3, cancelled: 37 };
    const ended = { ...job, tasks, endedAt: '2026-01-01T00:00:11.000Z' };
    expect(formatEnd({ ...ended, state: 'cancelled', reason: 'it was cancelled' }, plain)).toBe(
      'thumbs-1a2b3c4d cancelled in 10 s: 60 of 100 tasks succeeded, 3 failed, 37 cancelled; it was cancelled',
    );
  });
});
