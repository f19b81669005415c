import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createWeightedTurns } from './weighted-turns.ts';

/** How often each choice was taken. */
function counts(weights: readonly number[], calls: number): number[] {
  const next = createWeightedTurns(weights);
  const taken = weights.map(() => 0);
  for (let call = 0; call < calls; call += 1) {
    const index = next();
    taken[index] = (taken[index] ?? 0) + 1;
  }
  return taken;
}

test('a whole round gives everybody exactly its weight', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 6 }), (weights) => {
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      expect(counts(weights, total)).toEqual(weights);
    }),
  );
});

test('of two choices, any number of calls gives each its share to less than one call', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9_999 }), fc.integer({ min: 1, max: 20_000 }), (share, calls) => {
      const [first = 0] = counts([share, 10_000 - share], calls);
      expect(Math.abs(first - (calls * share) / 10_000)).toBeLessThan(1);
    }),
  );
});

test('turns are spread, not in blocks', () => {
  const next = createWeightedTurns([1, 1]);
  expect([next(), next(), next(), next()]).toEqual([0, 1, 0, 1]);
});
