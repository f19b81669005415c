import { expect, test } from 'vitest';
import { decideJobEnd } from './decide-job-end.ts';
import { noneOf } from './job-record.ts';

const counts = { ...noneOf(0), succeeded: 2 };

test('a job ends when nothing runs and nothing is left to do: as its tasks did, or as it was told to', () => {
  expect(decideJobEnd({ count: 3 }, { ...counts, running: 1 })).toBeUndefined();
  expect(decideJobEnd({ count: 3 }, { ...counts, queued: 1 })).toBeUndefined();
  expect(decideJobEnd({ count: 2 }, counts)).toEqual({ state: 'succeeded', counts });
  expect(decideJobEnd({ count: 3 }, { ...counts, failed: 1 })).toMatchObject({ reason: '1 of 3 tasks failed' });
  expect(decideJobEnd({ count: 1 }, { ...noneOf(0), failed: 1 })).toMatchObject({ reason: 'its task failed' });
});

test('what a job that is ended early never began is cancelled; what runs is waited for', () => {
  const ending = { state: 'cancelled' as const, reason: 'it was cancelled' };
  expect(decideJobEnd({ count: 5, ending }, { ...counts, running: 1, queued: 2 })).toBeUndefined();
  expect(decideJobEnd({ count: 5, ending }, { ...counts, cancelled: 1, queued: 2 })).toEqual({
    ...ending,
    counts: { ...counts, queued: 0, cancelled: 3 },
  });
});
