import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IndexedHeap } from './indexed-heap.ts';

test('the first is the least of what is in, whatever was placed, placed anew and removed', () => {
  const step = fc.record({ item: fc.nat(9), rank: fc.nat(20), isRemoved: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const items = Array.from({ length: 10 }, () => ({ rank: 0 }));
      const held = new Set<{ rank: number }>();
      const heap = new IndexedHeap<{ rank: number }>((one, other) => one.rank < other.rank);
      for (const { item: index, rank, isRemoved } of steps) {
        const item = items[index] as { rank: number };
        if (isRemoved) {
          held.delete(item);
          heap.remove(item);
        } else {
          item.rank = rank;
          held.add(item);
          heap.place(item);
        }
        expect(heap.first?.rank).toBe(held.size === 0 ? undefined : Math.min(...Array.from(held, (one) => one.rank)));
      }
    }),
  );
});
