import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideRetention } from './decide-retention.ts';

test('versions that are needed and the newest others stay, the oldest go', () => {
  expect(decideRetention([1, 2, 3, 4, 5], new Set([5]), 2)).toEqual([2, 1]);
  expect(decideRetention([1, 2, 3, 4, 5], new Set([1, 5]), 2)).toEqual([2]);
  expect(decideRetention([1], new Set([1]), 0)).toEqual([]);
});

test('never drops one that is needed, and leaves at most what is kept besides them', () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1 });
  fc.assert(
    fc.property(numbers, fc.array(fc.nat(1000)), fc.nat(60), (stored, picks, kept) => {
      const needed = new Set(picks.map((pick) => stored[pick % stored.length] ?? 0));
      const dropped = decideRetention(stored, needed, kept);
      expect(dropped.filter((version) => needed.has(version))).toEqual([]);
      expect(stored.length - dropped.length).toBe(Math.min(stored.length, kept + needed.size));
    }),
  );
});
