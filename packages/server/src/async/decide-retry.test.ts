import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideRetry, type RetryFacts } from './decide-retry.ts';

const facts = (more: Partial<RetryFacts> = {}): RetryFacts => ({
  inVain: 1,
  minWaitMs: 1_000,
  maxWaitMs: 300_000,
  now: 0,
  expiresAt: Number.MAX_SAFE_INTEGER,
  random: 0.5,
  ...more,
});
const waitOf = (more: Partial<RetryFacts>): number => {
  const decision = decideRetry(facts(more));
  if (decision.kind !== 'at') throw new Error(decision.kind);
  return decision.at;
};

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('decideRetry', () => {
  test.each([
    [1, 0, 1_000],
    [1, 0.999999, 2_000],
    [2, 0, 2_000],
    [2, 0.5, 3_000],
    [5, 0, 16_000],
    [20, 0, 150_000],
    [20, 0.999999, 300_000],
    [5_000, 0.999999, 300_000],
  ])('after %i attempts in vain, with chance %d, it waits %i ms', (inVain, random, ms) => {
    expect(waitOf({ inVain, random })).toBe(ms);
  });

  test('a wait that was asked for takes the place of the computed one, but is not shorter than the least', () => {
    expect(waitOf({ retryAfterMs: 600_000, random: 0 })).toBe(600_000);
    expect(waitOf({ retryAfterMs: 10, random: 0 })).toBe(1_000);
    expect(waitOf({ retryAfterMs: 0, minWaitMs: 0, random: 0 })).toBe(0);
  });

  test('what would begin when it has expired is not waited for', () => {
    expect(decideRetry(facts({ expiresAt: 1_500 }))).toEqual({ kind: 'expired' });
    expect(decideRetry(facts({ expiresAt: 1_501, random: 0.5 }))).toEqual({ kind: 'at', at: 1_500 });
    expect(decideRetry(facts({ retryAfterMs: 5_000, expiresAt: 5_000, random: 0 }))).toEqual({ kind: 'expired' });
  });

  test('the wait is never shorter than the least, nor longer than the longest, and never begins too late', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2_000 }),
        fc.integer({ min: 0, max: 86_400_000 }),
        fc.integer({ min: 0, max: 86_400_000 }),
        fc.option(fc.integer({ min: 0, max: 1e10 }), { nil: undefined }),
        fc.integer({ min: 0, max: 2e12 }),
        fc.integer({ min: 0, max: 1e9 }),
        unit,
        (inVain, minWaitMs, more, retryAfterMs, now, lifeMs, random) => {
          const maxWaitMs = minWaitMs + more;
          const expiresAt = now + lifeMs;
          const decision = decideRetry({ inVain, minWaitMs, maxWaitMs, retryAfterMs, now, expiresAt, random });
          if (decision.kind === 'expired') return;
          expect(decision.at).toBeLessThan(expiresAt);
          const waitMs = decision.at - now;
          expect(Number.isSafeInteger(decision.at)).toBe(true);
          expect(waitMs).toBeGreaterThanOrEqual(Math.max(minWaitMs, retryAfterMs ?? 0));
          if (retryAfterMs === undefined) expect(waitMs).toBeLessThanOrEqual(maxWaitMs);
          else expect(waitMs).toBeLessThanOrEqual(Math.max(minWaitMs, retryAfterMs) + 1_000);
        },
      ),
    );
  });
});
