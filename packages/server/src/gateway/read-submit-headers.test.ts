import { expect, test } from 'vitest';
import { readSubmitHeaders } from './read-submit-headers.ts';

const NOW = Date.UTC(2026, 10, 21);

test('reads when, how urgent, how old and under which keys', () => {
  expect(readSubmitHeaders(['Host', 'a'], NOW)).toEqual({});
  expect(readSubmitHeaders(['X-Ebb-Delay', '90s', 'x-ebb-priority', '0'], NOW)).toMatchObject({
    delayMs: 90_000,
    priority: 0,
  });
  expect(readSubmitHeaders(['X-Ebb-Run-At', '2026-11-21T01:00:00+01:00'], NOW)).toMatchObject({ runAt: NOW });
  expect(readSubmitHeaders(['X-Ebb-Max-Age', '365d'], NOW)).toMatchObject({ maxAgeMs: 365 * 86_400_000 });
});

test.each([
  [['x-ebb-delay', '366d'], 'the header x-ebb-delay is "366d" but must be a duration from 0s to 365d, such as "5m"'],
  [['x-ebb-delay', '-1s'], 'must be a duration'],
  [['x-ebb-run-at', '2026-11-21'], 'must be a moment'],
  [['x-ebb-run-at', '2026-13-41T00:00:00Z'], 'must be a moment'],
  [['x-ebb-run-at', '2028-01-01T00:00:00Z'], 'at most 365 days ahead'],
  [['x-ebb-delay', '1s', 'x-ebb-run-at', '2026-11-22T00:00:00Z'], 'exclude each other'],
  [['x-ebb-priority', '-1'], 'a whole number from 0 to 9'],
  [['x-ebb-priority', '4.5'], 'a whole number from 0 to 9'],
  [['x-ebb-max-age', '0s'], 'a duration from 1s to 365d'],
  [['x-ebb-key', ''], '1 to 512 characters'],
  [['x-ebb-key', 'k'.repeat(513)], '1 to 512 characters'],
  [['idempotency-key', 'k'.repeat(256)], '1 to 255 characters'],
  [['x-callback-url', 'ftp://example.com'], 'an http or https address'],
  [['x-callback-url', 'http://'], 'an http or https address'],
  [['x-callback-url', `http://a/${'x'.repeat(2048)}`], 'at most 2048 characters'],
  [['X-Ebb-Key', 'a', 'x-ebb-key', 'a'], 'more than once'],
])('refuses %j', (headers, message) => {
  expect(() => readSubmitHeaders(headers, NOW)).toThrow(message);
});
