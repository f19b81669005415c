import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Timed, Timeouts } from './timeouts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Something timed that writes down when it expired. */
function createTimed(expired: (at: number) => void): Timed {
  return { dueMs: 0, sooner: undefined, later: undefined, expire: () => expired(performance.now()) };
}

test('whoever waits expires when the time is over, never before, unless it left', () => {
  const call = fc.record({
    afterMs: fc.constantFrom(1, 20, 100, 1_000),
    joinAt: fc.integer({ min: 0, max: 300 }),
    leaveAt: fc.option(fc.integer({ min: 0, max: 1_500 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 20 }), (calls) => {
      const timeouts = new Timeouts();
      const startMs = performance.now();
      const expiredAt = calls.map(() => Number.NaN);
      const all = calls.map((_call, i) => createTimed((at) => (expiredAt[i] = at - startMs)));
      for (let now = 0; now <= 1_600; now += 1) {
        for (const [i, { afterMs, joinAt, leaveAt }] of calls.entries()) {
          const timed = all[i] as Timed;
          if (joinAt === now) timeouts.join(timed, afterMs, performance.now());
          if (leaveAt === now) timeouts.leave(timed);
        }
        vi.advanceTimersByTime(1);
      }
      for (const [i, { afterMs, joinAt, leaveAt }] of calls.entries()) {
        const dueAt = joinAt + afterMs;
        const hasLeft = leaveAt !== undefined && leaveAt >= joinAt && leaveAt < dueAt;
        if (hasLeft) expect(expiredAt[i]).toBeNaN();
        else expect(expiredAt[i]).toSatisfy((at: number) => at >= dueAt && at <= dueAt + 2);
      }
    }),
    { numRuns: 30 },
  );
});

test('who expired may wait again, at once and for another time', () => {
  const timeouts = new Timeouts();
  const times: number[] = [];
  const startMs = performance.now();
  const timed = createTimed((at) => {
    times.push(at - startMs);
    if (times.length === 1) timeouts.join(timed, 30, at);
    if (times.length === 2) timeouts.join(timed, 50, at);
  });
  timeouts.join(timed, 50, startMs);
  vi.advanceTimersByTime(1_000);
  expect(times).toEqual([50, 80, 130]);
});

test('one that makes another leave as it expires is obeyed', () => {
  const timeouts = new Timeouts();
  const expired: string[] = [];
  const other = createTimed(() => expired.push('other'));
  const timed = createTimed(() => {
    expired.push('first');
    timeouts.leave(other);
  });
  timeouts.join(timed, 10, performance.now());
  timeouts.join(other, 10, performance.now());
  vi.advanceTimersByTime(1_000);
  expect(expired).toEqual(['first']);
});

test('a hundred calls of one function keep one timer, and none when all are over', () => {
  const timeouts = new Timeouts();
  const all = Array.from({ length: 100 }, () => createTimed(() => {}));
  for (const timed of all) timeouts.join(timed, 60_000, performance.now());
  expect(vi.getTimerCount()).toBe(1);
  for (const timed of all) timeouts.leave(timed);
  vi.advanceTimersByTime(60_001);
  expect(vi.getTimerCount()).toBe(0);
});
