import { describe, expect, test } from 'vitest';
import type { CommandContext } from '../core/command.ts';
import { createParameters } from '../core/parameters.ts';
import { asyncOptionsOf } from './async-options.ts';

function read(values: Readonly<Record<string, unknown>>) {
  return asyncOptionsOf({ parameters: createParameters(values) } as CommandContext);
}

describe('the options of a call that is made later', () => {
  test('are what was said', async () => {
    expect(await read({ async: true, maxAge: '5m', priority: '9', key: 'k', runAt: '2026-05-01T10:00:00Z' })).toEqual({
      maxAge: '5m',
      priority: 9,
      key: 'k',
      runAt: '2026-05-01T10:00:00.000Z',
    });
    expect(await read({})).toBeUndefined();
  });

  test('a duration for --run-at is one from now', async () => {
    const { runAt } = (await read({ async: true, runAt: '1h' })) ?? {};
    expect(Date.parse(runAt ?? '') - Date.now()).toBeGreaterThan(3_500_000);
  });

  test.each([
    [{ delay: '5m' }, '"--delay" goes with --async'],
    [{ idempotencyKey: 'x' }, '"--idempotency-key" goes with --async'],
    [{ wait: true }, '"--wait" goes with --async'],
    [{ async: true, priority: '10' }, '"--priority" is "10"'],
    [{ async: true, runAt: 'never' }, '"--run-at" is "never"'],
    [{ async: true, delay: 'soon' }, '"--delay" is "soon" but must be a duration'],
    [{ async: true, maxAge: 'old' }, '"--max-age" is "old" but must be a duration'],
    [{ async: true, delay: '400d' }, '"--delay" is "400d" but must be a duration from 0s to 365d'],
    [{ async: true, maxAge: '1ms' }, '"--max-age" is "1ms" but must be a duration from 1s to 365d'],
    [{ async: true, runAt: '9999-01-01T00:00' }, '"--run-at" is "9999-01-01T00:00:00.000Z" but must be a moment'],
    [{ async: true, key: 'k'.repeat(513) }, 'but must be 1 to 512 characters'],
    [{ async: true, key: '\u{1f642}' }, '"--key" has characters that a header cannot carry'],
    [{ async: true, idempotencyKey: '' }, '"--idempotency-key" is "" but must be 1 to 255 characters'],
    [{ async: true, callback: 'ftp://a' }, '"--callback" is "ftp://a" but must be an http or https address'],
    [{ async: true, method: 'PUT' }, '"--method" is "PUT" but a call with --async is always a POST'],
    [{ async: true, delay: '1m', runAt: '2m' }, 'give either --delay or --run-at'],
  ])('%j is refused', async (values, message) => {
    await expect(read(values)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message) as string,
    });
  });
});
