import { describe, expect, test } from 'vitest';
import type { CommandContext } from '../core/command.ts';
import { createParameters } from '../core/parameters.ts';
import { asyncOptionsOf } from './async-options.ts';

function read(values: Readonly<Record<string, unknown>>) {
  return asyncOptionsOf({ parameters: createParameters(values) } as CommandContext);
}

describe('the options of a call that is made later', () => {
  test('are what was said', async () => {
    expect(await read({ async: true, delay: '5m', priority: '9', key: 'k', runAt: '2026-05-01T10:00:00Z' })).toEqual({
      delay: '5m',
      priority: 9,
      key: 'k',
      runAt: '2026-05-01T10:00:00.000Z',
    });
    expect(await read({})).toBeUndefined();
  });

  test.each([
    [{ delay: '5m' }, '"--delay" goes with --async'],
    [{ idempotencyKey: 'x' }, '"--idempotency-key" goes with --async'],
    [{ wait: true }, '"--wait" goes with --async'],
    [{ async: true, priority: '10' }, '"--priority" is "10"'],
    [{ async: true, runAt: 'never' }, '"--run-at" is "never"'],
  ])('%j is refused', async (values, message) => {
    await expect(read(values)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message) as string,
    });
  });
});
