import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideRetention } from './decide-retention.ts';

test('the live version and the newest others stay, the oldest go', () => {
  expect(decideRetention([1, 2, 3, 4, 5], 5, 2)).toEqual([2, 1]);
  expect(decideRetention([1, 2, 3, 4, 5], 1, 2)).toEqual([3, 2]);
  expect(decideRetention([1], 1, 0)).toEqual([]);
});

test('never drops the live version, and leaves at most what is kept besides it', () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1 });
  fc.assert(
    fc.property(numbers, fc.nat(1000), fc.nat(60), (stored, pick, kept) => {
      const live = stored[pick % stored.length] ?? 0;
      const dropped = new Set(decideRetention(stored, live, kept));
      expect(dropped.has(live)).toBe(false);
      expect(stored.length - dropped.size).toBe(Math.min(stored.length, kept + 1));
    }),
  );
});
