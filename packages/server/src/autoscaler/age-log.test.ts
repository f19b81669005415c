import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AgeLog } from './age-log.ts';

test('tells the age there was at any moment, and never grows younger', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(50), fc.nat(100)), { maxLength: 50 }), fc.nat(2_000), (steps, moment) => {
      const log = new AgeLog();
      let now = 0;
      let [age, expected] = [0, 0];
      for (const [passed, raised] of steps) {
        now += passed;
        log.raise(raised, now);
        age = Math.max(age, raised);
        if (now <= moment) expected = age;
      }
      expect(log.at(moment)).toBe(expected);
      expect(log.at(now)).toBe(age);
    }),
  );
});

test('remembers no more than a bounded number', () => {
  const log = new AgeLog();
  for (let now = 1; now <= 5_000; now += 1) log.raise(now, now);
  expect([log.at(5_000), log.at(4_900), log.at(1)]).toEqual([5_000, 4_900, 0]);
});
