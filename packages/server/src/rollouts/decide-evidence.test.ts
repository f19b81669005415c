import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evidenceAbove, evidenceBelow, evidenceOfRise } from './decide-evidence.ts';

/** Every sequence of so many tries, by how many are bad, with how many sequences there are. */
function outcomes(of: number): { readonly bad: number; readonly ways: number }[] {
  let ways = 1;
  return Array.from({ length: of + 1 }, (_, bad) => {
    const outcome = { bad, ways };
    ways = (ways * (of - bad)) / (bad + 1);
    return outcome;
  });
}

/** The expectation of an e-value over all sequences, at a true rate. */
function expectation(of: number, rate: number, evidence: (bad: number) => number): number {
  return outcomes(of).reduce(
    (sum, { bad, ways }) => sum + ways * rate ** bad * (1 - rate) ** (of - bad) * Math.exp(evidence(bad)),
    0,
  );
}

describe('evidence', () => {
  test('is an e-value: at any true rate that is not above the bound its expectation is at most 1', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (of, bound, share) => {
          expect(expectation(of, bound * share, (bad) => evidenceAbove({ bad, of }, bound))).toBeLessThan(1.000001);
        },
      ),
    );
  });

  test('of a rise is an e-value: where the new rate is not above the old one and the margin, at most 1', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.double({ min: 0, max: 0.9, noNaN: true }),
        fc.double({ min: 0, max: 0.1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (newOf, oldOf, oldRate, margin, share) => {
          const newRate = (oldRate + margin) * share;
          const sum = outcomes(oldOf).reduce((total, { bad: oldBad, ways }) => {
            const old = { bad: oldBad, of: oldOf };
            const inner = expectation(newOf, newRate, (bad) => evidenceOfRise({ bad, of: newOf }, old, margin));
            return total + ways * oldRate ** oldBad * (1 - oldRate) ** (oldOf - oldBad) * inner;
          }, 0);
          expect(sum).toBeLessThan(1.000001);
        },
      ),
    );
  });

  test('grows with every bad call more', () => {
    for (let bad = 10; bad < 100; bad += 1) {
      const [less, more] = [bad, bad + 1].map((count) =>
        evidenceOfRise({ bad: count, of: 500 }, { bad: 3, of: 1000 }, 0.01),
      );
      expect(more).toBeGreaterThan(less ?? Infinity);
    }
  });

  test('S1: nothing seen is evidence of nothing', () => {
    expect(evidenceAbove({ bad: 0, of: 0 }, 0.1)).toBe(0);
    expect(evidenceOfRise({ bad: 5, of: 5 }, { bad: 0, of: 0 }, 0.01)).toBeLessThanOrEqual(0);
    expect(evidenceOfRise({ bad: 0, of: 0 }, { bad: 0, of: 100 }, 0.01)).toBeLessThanOrEqual(0);
  });

  test('that a share is below a bound is the mirror image of that it is above', () => {
    expect(evidenceBelow({ bad: 2, of: 300 }, 0.05)).toBeCloseTo(evidenceAbove({ bad: 298, of: 300 }, 0.95), 9);
  });
});
