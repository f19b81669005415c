import { describe, expect, test } from 'vitest';
import { parseGoDurationMs, parseGoTimeoutMs } from './go-duration.ts';

describe('a duration of Go', () => {
  test.each([
    ['0', 0],
    ['0s', 0],
    ['300ms', 300],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['+2m', 120_000],
    ['250us', 0.25],
    ['1000000ns', 1],
  ])('%s is %d ms', (text, ms) => {
    expect(parseGoDurationMs(text)).toBeCloseTo(ms, 9);
  });

  test.each(['', '5', '-5s', '5 s', '5d', 's', '1m30', `${'9'.repeat(90)}h`])('"%s" is none', (text) => {
    expect(parseGoDurationMs(text)).toBeUndefined();
  });

  test('a whole number is seconds where a timeout is meant', () => {
    expect([parseGoTimeoutMs('15'), parseGoTimeoutMs('15s'), parseGoTimeoutMs('x')]).toEqual([
      15_000,
      15_000,
      undefined,
    ]);
  });
});
