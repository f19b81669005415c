import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSortedList } from './sorted-list.ts';

interface Value {
  readonly rank: number;
  readonly text: string;
}

const value = fc.record({ rank: fc.nat({ max: 4000 }), text: fc.string({ maxLength: 2 }) });
const change = fc.record({ value, adds: fc.boolean() });

test('has what was added and not removed, each rank once and in order, for any history of any length', () => {
  fc.assert(
    fc.property(fc.nat({ max: 3000 }), fc.array(change, { maxLength: 300 }), (filled, changes) => {
      const list = createSortedList<Value>((left, right) => left.rank - right.rank);
      const expected = new Map<number, Value>();
      const add = (one: Value) => {
        list.add(one);
        expected.set(one.rank, one);
      };
      for (let rank = 0; rank < filled; rank += 1) add({ rank, text: '' });
      for (const { value: one, adds } of changes) {
        if (adds) add(one);
        else {
          list.remove(one);
          expected.delete(one.rank);
        }
      }
      const all = [...expected.values()].toSorted((left, right) => left.rank - right.rank);
      expect([...list]).toEqual(all);
      expect([list.size, list.first(), list.last()]).toEqual([all.length, all[0], all.at(-1)]);
    }),
    { numRuns: 60 },
  );
});
