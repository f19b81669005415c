import { describe, expect, test } from 'vitest';
import { describeProblem } from './describe-issue.ts';
import { manifestSchema } from './manifest.ts';
import { resolveRollout, rolloutSchema } from './rollout.ts';

const planOf = (spec: unknown) => resolveRollout(rolloutSchema.parse(spec));
const stepsOf = (spec: unknown) => planOf(spec).steps.map(({ weight, pauseMs }) => [weight, pauseMs]);

describe('resolveRollout', () => {
  test('a canary goes by 5, 25 and 50 percent to all calls unless told otherwise', () => {
    expect(stepsOf({ strategy: 'canary' })).toEqual([
      [5, 60_000],
      [25, 60_000],
      [50, 60_000],
      [100, 60_000],
    ]);
  });

  test('its own steps end with all calls, which are watched for the bake time', () => {
    const steps = [{ weight: 1, pause: '10m' }, { weight: 10 }];
    expect(stepsOf({ strategy: 'canary', steps, bake: '1h' })).toEqual([
      [1, 600_000],
      [10, 60_000],
      [100, 3_600_000],
    ]);
    expect(stepsOf({ strategy: 'canary', steps: [{ weight: 100, pause: '5s' }] })).toEqual([[100, 5_000]]);
  });

  test('linear adds the same each time, and never more than there is', () => {
    expect(stepsOf({ strategy: 'linear', step: 30, interval: '2m' })).toEqual([
      [30, 120_000],
      [60, 120_000],
      [90, 120_000],
      [100, 60_000],
    ]);
    expect(stepsOf({ strategy: 'linear' }).map(([weight]) => weight)).toEqual([
      10, 20, 30, 40, 50, 60, 70, 80, 90, 100,
    ]);
    expect(stepsOf({ strategy: 'linear', step: 33.33 }).map(([weight]) => weight)).toEqual([33.33, 66.66, 99.99, 100]);
  });

  test('blue-green and all-at-once have one step', () => {
    expect(stepsOf({ strategy: 'blue-green' })).toEqual([[100, 300_000]]);
    expect(stepsOf({ strategy: 'all-at-once' })).toEqual([[100, 0]]);
  });

  test('percentages become shares', () => {
    const { errorMargin, coldStartFailures, alpha } = planOf({ strategy: 'canary' });
    expect([errorMargin, coldStartFailures]).toEqual([0.01, 0.1]);
    expect(alpha).toBeCloseTo(0.001, 12);
  });
});

describe('a rollout is refused in one sentence:', () => {
  test.each([
    [{ strategy: 'quick' }, '"strategy" is "quick" but must be "all-at-once", "linear", "canary" or "blue-green"'],
    [{ strategy: 'linear', steps: [{ weight: 5 }] }, '"steps" is a list but is only for the strategy "canary"'],
    [{ strategy: 'canary', step: 5 }, '"step" is 5 but is only for the strategy "linear"'],
    [{ strategy: 'canary', interval: '1m' }, '"interval" is "1m" but is only for the strategy "linear"'],
    [
      { strategy: 'canary', steps: [{ weight: 50 }, { weight: 50 }] },
      '"steps.1.weight" is 50 but must be more than that of the step before, 50',
    ],
    [{ strategy: 'canary', steps: [{ weight: 0.001 }] }, '"steps.0.weight" is 0.001 but must be at least 0.01'],
    [
      { strategy: 'canary', steps: [{ weight: 1.234 }] },
      '"steps.0.weight" is 1.234 but must be a percentage with at most two decimals',
    ],
    [{ strategy: 'canary', samples: 1 }, '"samples" is 1 but must be at least 10'],
    [{ strategy: 'canary', bake: 'long' }, '"bake" is "long" but must be a duration from 0s to 7d, such as "5m"'],
    [{ strategy: 'canary', afterWait: 'pray' }, '"afterWait" is "pray" but must be "hold" or "advance"'],
    [{ strategy: 'canary', pace: 1 }, 'the request has an unknown field "pace"'],
  ])('%j', (spec, message) => {
    const checked = rolloutSchema.safeParse(spec);
    expect(checked.error && describeProblem(checked.error, spec).message).toBe(message);
  });
});

test('in ebb.yaml the strategy may stand alone', () => {
  const of = (rollout: unknown) =>
    manifestSchema.parse({ functions: { web: { image: 'a:1', rollout } } }).functions['web']?.rollout;
  expect(of('canary')).toEqual(of({ strategy: 'canary' }));
  expect(() => of('quick')).toThrow('strategy');
});
