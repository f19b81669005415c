import { expect, test } from 'vitest';
import { decideVersionNumber } from './decide-version-number.ts';

test('numbers only grow, past failed deploys and removed functions (V1)', () => {
  expect(decideVersionNumber(undefined, 0)).toBe(1);
  expect(decideVersionNumber(3, 3)).toBe(4);
  expect(decideVersionNumber(3, 7)).toBe(8);
  expect(decideVersionNumber(undefined, 7)).toBe(8);
});
