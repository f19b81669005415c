import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NextOf } from './decide-next.ts';

test('items come out in order, whatever goes in between', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: -9, max: 9 }))), (steps) => {
      const next = new NextOf<number>((one, other) => one < other);
      const model: number[] = [];
      for (const step of steps) {
        if (step === null) expect(next.take()).toBe(model.shift());
        else {
          next.add(step);
          model.push(step);
          model.sort((left, right) => left - right);
        }
        expect(next.first).toBe(model[0]);
      }
    }),
  );
});
