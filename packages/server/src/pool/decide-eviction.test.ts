import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideEviction } from './decide-eviction.ts';

const MIB = 2 ** 20;
const candidates = fc.uniqueArray(
  fc.record({
    id: fc.string({ minLength: 1 }),
    memoryBytes: fc.integer({ min: 1, max: 512 * MIB }),
    idleMs: fc.integer({ min: 0, max: 86_400_000 }),
  }),
  { selector: ({ id }) => id },
);
const sum = (items: readonly { readonly memoryBytes: number }[]) =>
  items.reduce((bytes, { memoryBytes }) => bytes + memoryBytes, 0);

describe('which frozen instances go', () => {
  test('nobody, within the limit', () => {
    fc.assert(
      fc.property(candidates, (all) => {
        expect(decideEviction(all, { usedBytes: sum(all), maxBytes: sum(all) })).toEqual([]);
      }),
    );
  });

  test('enough to keep within the limit, or all that may go, and not one more', () => {
    fc.assert(
      fc.property(candidates, fc.nat(1024 * MIB), fc.nat(256 * MIB), (all, maxBytes, keptBytes) => {
        const usedBytes = sum(all) + keptBytes;
        const victims = decideEviction(all, { usedBytes, maxBytes });
        const leftBytes = usedBytes - sum(victims);
        expect(leftBytes <= maxBytes || victims.length === all.length).toBe(true);
        const last = victims.at(-1);
        if (last) expect(leftBytes + last.memoryBytes).toBeGreaterThan(maxBytes);
      }),
    );
  });

  test('those that held most memory for longest go first', () => {
    const used = { id: 'used', memoryBytes: 64 * MIB, idleMs: 10_000 };
    const large = { id: 'large', memoryBytes: 512 * MIB, idleMs: 60_000 };
    const forgotten = { id: 'forgotten', memoryBytes: 64 * MIB, idleMs: 3_600_000 };
    const victims = (maxBytes: number) =>
      decideEviction([used, large, forgotten], { usedBytes: 640 * MIB, maxBytes }).map(({ id }) => id);
    expect(victims(600 * MIB)).toEqual(['forgotten']);
    expect(victims(64 * MIB)).toEqual(['forgotten', 'large']);
    expect(victims(0)).toEqual(['forgotten', 'large', 'used']);
  });
});
