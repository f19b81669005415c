import { expect, test } from 'vitest';
import { parseRetryAfter } from './parse-retry-after.ts';

const NOW = Date.parse('2026-01-02T03:04:05Z');

test.each([
  ['0', 0],
  [' 120 ', 120_000],
  ['9999999999', 86_400_000],
  ['Fri, 02 Jan 2026 03:04:35 GMT', 30_000],
  ['Fri, 02 Jan 2026 03:00:00 GMT', 0],
  ['Fri, 02 Jan 2099 03:00:00 GMT', 86_400_000],
  ['-1', undefined],
  ['1.5', undefined],
  ['soon', undefined],
  ['2026-01-02', undefined],
  ['', undefined],
  [undefined, undefined],
])('Retry-After %j means %j', (value, ms) => {
  expect(parseRetryAfter(value, NOW)).toBe(ms);
});
