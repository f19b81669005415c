import { expect, test } from 'vitest';
import { decideReserved } from './decide-reserved.ts';

const others = [
  { name: 'a', amount: 3 },
  { name: 'b', amount: 4 },
];

test('what fits beside the others may be reserved, and what one had before is not counted twice', () => {
  expect(decideReserved({ name: 'c', amount: 3 }, others, 10)).toEqual({ fits: true, left: 3 });
  expect(decideReserved({ name: 'b', amount: 7 }, others, 10)).toEqual({ fits: true, left: 7 });
});

test('what does not fit is refused with what is left; nothing always fits', () => {
  expect(decideReserved({ name: 'c', amount: 4 }, others, 10)).toEqual({ fits: false, left: 3 });
  expect(decideReserved({ name: 'c', amount: 1 }, others, 5)).toEqual({ fits: false, left: 0 });
  expect(decideReserved({ name: 'c', amount: 0 }, others, 5)).toEqual({ fits: true, left: 0 });
});
