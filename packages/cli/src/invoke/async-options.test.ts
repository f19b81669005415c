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
    [{ async: true, delay: '1m', runAt: '2m' }, 'give either --delay or --run-at'],
  ])('%j is refused', async (values, message) => {
    await expect(read(values)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message) as string,
    });
  });
});
