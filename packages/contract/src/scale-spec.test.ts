import { describe, expect, test } from 'vitest';
import { describeProblem } from './describe-issue.ts';
import { functionSpecSchema, resolveLimits } from './function-spec.ts';

/** What is said about a `scale`, or nothing when it is fine. */
function refusal(scale: unknown): string | undefined {
  const spec = { runtime: 'node', scale };
  const parsed = functionSpecSchema.safeParse(spec);
  return parsed.success ? undefined : describeProblem(parsed.error, spec).message;
}

const scalingOf = (spec: object) => resolveLimits(functionSpecSchema.parse({ runtime: 'node', ...spec })).scaling;

describe('what is said about scaling', () => {
  test.each([
    [{ min: 3, max: 2 }, '"scale.min" is 3 but must not be larger than scale.max'],
    [{ minActive: 3, max: 2 }, '"scale.minActive" is 3 but must not be larger than scale.max'],
    [
      { mode: 'rps' },
      '"scale.target" is missing: mode "rps" needs the calls a second that one instance is meant to take',
    ],
    [
      { mode: 'cpu', target: 101 },
      '"scale.target" is 101 but must be at most 100 in mode "cpu": it is a percentage of the limit "cpu"',
    ],
    [{ window: '10s', burstWindow: '11s' }, '"scale.burstWindow" is "11s" but must not be longer than scale.window'],
    [
      { schedule: [{ cron: 'at eight', for: '1h', min: 1 }] },
      '"scale.schedule.0.cron" is "at eight" but must be five or six fields of a cron expression, such as "0 8 * * 1-5"',
    ],
    [
      { schedule: [{ cron: '0 8 30 2 *', for: '1h', min: 1 }] },
      '"scale.schedule.0.cron" is "0 8 30 2 *" but must be five or six fields of a cron expression, such as "0 8 * * 1-5"',
    ],
    [
      { schedule: [{ cron: '0 8 * * *', timeZone: 'Mars/Base', for: '1h', min: 1 }] },
      '"scale.schedule.0.timeZone" is "Mars/Base" but must be a time zone of the IANA database, such as "Europe/Berlin"',
    ],
    [
      { max: 3, schedule: [{ cron: '0 8 * * *', for: '1h', min: 4 }] },
      '"scale.schedule.0.min" is 4 but must not be larger than scale.max',
    ],
  ])('%j is refused in words', (scale, message) => {
    expect(refusal(scale)).toBe(message);
  });

  test('a spec that says nothing scales by calls at once, as many as an instance takes', () => {
    expect(scalingOf({ concurrency: 7 })).toEqual({
      mode: 'concurrency',
      target: 7,
      windowMs: 60_000,
      burstWindowMs: 6_000,
      schedule: [],
    });
  });

  test('averages over no longer than an idle instance is kept', () => {
    expect(scalingOf({ scale: { idle: '2s' } })).toMatchObject({ windowMs: 2_000, burstWindowMs: 200 });
  });

  test.each([
    [{ concurrency: 10, scale: { utilization: 0.7 } }, 7],
    [{ concurrency: 10, scale: { target: 4 } }, 4],
    [{ concurrency: 10, scale: { target: 40 } }, 10],
    [{ scale: { mode: 'rps', target: 50, utilization: 0.5 } }, 25],
    [{ cpu: '500m', scale: { mode: 'cpu' } }, 0.35],
    [{ concurrency: 3, scale: { mode: 'queue' } }, 3],
  ])('%j is meant to bear %d an instance', (spec, target) => {
    expect(scalingOf(spec).target).toBeCloseTo(target);
  });
});
