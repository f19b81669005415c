import { functionSpecSchema } from '@ebb/contract';
import { expect, test } from 'vitest';
import { makeVersion } from '../registry/version-record.ts';
import { minimumOf } from './minimum-of.ts';

const version = (min: number) =>
  makeVersion('n', 'f', {
    version: 1,
    digest: '',
    spec: functionSpecSchema.parse({ image: 'a', scale: { min, max: 5, idle: '10s' } }),
    createdAt: 0,
  });

test('what was asked for holds in place of the minimum, within the most there may be', () => {
  expect(minimumOf(version(2), undefined, 0)).toBe(2);
  expect([0, 1, 4, 9].map((count) => minimumOf(version(2), { count, askedAt: 0 }, 3_600_000))).toEqual([0, 1, 4, 5]);
});

test('a function without a minimum keeps them for its idle time and may then go to zero', () => {
  const asked = { count: 3, askedAt: 1_000 };
  expect([1_000, 10_999, 11_000].map((now) => minimumOf(version(0), asked, now))).toEqual([3, 3, 0]);
});
