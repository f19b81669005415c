import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attemptsLeft, decideBackoff, type Failures, FREE_FAILURES } from './decide-backoff.ts';

test('an address without a failure for a quarter of an hour starts anew', () => {
  let failures: Failures | undefined;
  for (let n = 0; n < 20; n += 1) failures = decideBackoff(failures, 0);
  expect(attemptsLeft(failures, 0)).toBe(0);
  expect(attemptsLeft(failures, 300_000)).toBe(1);
  expect(attemptsLeft(failures, 900_000)).toBe(FREE_FAILURES);
  expect(decideBackoff(failures, 900_000).count).toBe(1);
});

test('in any ten minutes no address gets more than 15 guesses, however they are spread', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 200 }), (pauses) => {
      let failures: Failures | undefined;
      let now = 0;
      const guessedAt: number[] = [];
      for (const pause of pauses) {
        now += pause;
        if (attemptsLeft(failures, now) === 0) continue;
        failures = decideBackoff(failures, now);
        guessedAt.push(now);
      }
      for (const at of guessedAt) {
        expect(guessedAt.filter((other) => other >= at && other < at + 600_000).length).toBeLessThanOrEqual(15);
      }
    }),
  );
});
