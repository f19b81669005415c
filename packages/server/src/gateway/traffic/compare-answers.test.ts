import { expect, test } from 'vitest';
import { compareAnswers, type SeenAnswer } from './compare-answers.ts';

const answer = (more: Partial<SeenAnswer> = {}): SeenAnswer => ({ status: 200, digest: 'a', isWhole: true, ...more });

test.each([
  ['same', {}, {}],
  ['status-differs', {}, { status: 500, digest: 'b' }],
  ['body-differs', {}, { digest: 'b' }],
  ['failed', {}, { status: 502, isWhole: false }],
  ['failed', { isWhole: false }, { isWhole: false }],
  ['uncompared', { isWhole: false }, {}],
  ['uncompared', { digest: undefined }, { digest: undefined }],
  ['status-differs', { digest: undefined }, { status: 404 }],
] as const)('%s: %o beside %o', (outcome, primary, shadow) => {
  expect(compareAnswers(answer(primary), answer(shadow))).toBe(outcome);
});
