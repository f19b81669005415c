import { describe, expect, test } from 'vitest';
import { functionSpecSchema, resolveLimits } from './function-spec.ts';

const limitsOf = (scale: Readonly<Record<string, unknown>>) =>
  resolveLimits(functionSpecSchema.parse({ runtime: 'node', scale }));
const problemOf = (scale: Readonly<Record<string, unknown>>) => {
  const [issue] = functionSpecSchema.safeParse({ runtime: 'node', scale }).error?.issues ?? [];
  return `${issue?.path.join('.')} ${issue?.message}`;
};

describe('freezing and standby in a spec', () => {
  test('idle instances freeze after ten seconds and no standby is kept, unless the spec says otherwise', () => {
    expect(limitsOf({})).toMatchObject({ freezeAfterMs: 10_000, standby: 0 });
    expect(limitsOf({ freezeAfter: '1m30s', standby: 3 })).toMatchObject({ freezeAfterMs: 90_000, standby: 3 });
    expect(limitsOf({ freezeAfter: 'off' })).toMatchObject({ freezeAfterMs: Number.POSITIVE_INFINITY });
  });

  test('what is not allowed is refused by name', () => {
    for (const freezeAfter of ['never', '50ms', '8d', '', -1]) {
      expect(problemOf({ freezeAfter })).toBe(
        'scale.freezeAfter must be "off" or a duration from 100ms to 7d, such as "10s"',
      );
    }
    expect(problemOf({ standby: 3, max: 2 })).toBe('scale.standby must not be larger than scale.max');
    expect(problemOf({ standby: -1 })).toContain('scale.standby');
  });
});
