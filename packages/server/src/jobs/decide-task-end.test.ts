import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AttemptEnd, decideTaskEnd, MOST_LOST } from './decide-task-end.ts';
import { NEW_TASK, type TaskRow } from './job-record.ts';

const endArbitrary: fc.Arbitrary<AttemptEnd> = fc.oneof(
  fc.constant<AttemptEnd>({ kind: 'succeeded', exitCode: 0 }),
  fc.constant<AttemptEnd>({ kind: 'failed', message: 'ended with exit code 1', exitCode: 1 }),
  fc.constant<AttemptEnd>({ kind: 'lost', message: 'the daemon went away' }),
  fc.constant<AttemptEnd>({ kind: 'cancelled', message: 'it was cancelled' }),
);

/** Makes attempts with these ends until the task is not queued any more. */
function run(ends: readonly AttemptEnd[], retries: number): { readonly row: TaskRow; readonly attempts: number } {
  let row = NEW_TASK;
  let attempts = 0;
  for (const end of ends) {
    if (row.state !== 'queued') break;
    attempts += 1;
    const running: TaskRow = { ...row, state: 'running', attempt: row.attempt + 1 };
    row = decideTaskEnd(running, end, { retries, now: attempts }).row;
  }
  return { row, attempts };
}

describe('the end of an attempt', () => {
  test('J2: a task fails once its own failures are more than its retries, however many attempts were lost', () => {
    fc.assert(
      fc.property(fc.array(endArbitrary, { maxLength: 60 }), fc.integer({ min: 0, max: 5 }), (ends, retries) => {
        const { row, attempts } = run(ends, retries);
        const made = ends.slice(0, attempts);
        expect(row.failures).toBe(made.filter(({ kind }) => kind === 'failed').length);
        expect(row.lost).toBe(made.filter(({ kind }) => kind === 'lost').length);
        expect(row.attempt).toBe(attempts);
        if (row.state === 'failed') expect(row.failures > retries || row.lost >= MOST_LOST).toBe(true);
        if (row.state === 'queued') expect(row.failures <= retries && row.lost < MOST_LOST).toBe(true);
      }),
    );
  });

  test('a lost attempt waits at least as long as was asked for', () => {
    const running: TaskRow = { ...NEW_TASK, state: 'running', attempt: 1 };
    const end: AttemptEnd = { kind: 'lost', message: 'too many calls', retryAfterMs: 5_000 };
    expect(decideTaskEnd(running, end, { retries: 0, now: 0 }).waitMs).toBe(5_000);
  });

  test('a job that is being ended makes no more attempts, and one whose input was a connection’s cannot', () => {
    const running: TaskRow = { ...NEW_TASK, state: 'running', attempt: 1 };
    for (const end of [
      { kind: 'lost', message: 'the daemon went away' },
      { kind: 'failed', message: 'ended with exit code 1' },
    ] as const) {
      const facts = { retries: 5, now: 0 };
      const message = end.message;
      expect(decideTaskEnd(running, end, facts).row.state).toBe('queued');
      const ending = decideTaskEnd(running, end, { ...facts, isEnding: true });
      expect(ending).toMatchObject({ row: { state: 'cancelled', message } });
      const streamed = decideTaskEnd(running, end, { ...facts, isStreamed: true });
      expect(streamed).toMatchObject({ row: { state: 'failed', message } });
      for (const { waitMs } of [ending, streamed]) expect(waitMs).toBeUndefined();
    }
  });
});
