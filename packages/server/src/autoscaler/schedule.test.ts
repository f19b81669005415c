import { describe, expect, test } from 'vitest';
import { createSchedule } from './schedule.ts';

const HOUR = 3_600_000;
const at = (time: string) => Date.parse(time);

describe('a schedule', () => {
  const working = createSchedule([{ cron: '0 8 * * 1-5', timeZone: 'Europe/Berlin', forMs: 10 * HOUR, min: 3 }]);

  test.each([
    ['just before it begins', '2026-11-23T06:59:59Z', 0],
    ['when it begins', '2026-11-23T07:00:00Z', 3],
    ['at its last moment', '2026-11-23T16:59:59.999Z', 3],
    ['when it is over', '2026-11-23T17:00:00Z', 0],
    ['on a day it leaves out', '2026-11-22T10:00:00Z', 0],
    ['in summer, when the clocks of its zone are ahead', '2026-07-20T06:00:00Z', 3],
  ])('%s', (_what, time, count) => {
    expect(working(at(time)).count).toBe(count);
  });

  test('lasts over midnight', () => {
    const night = createSchedule([{ cron: '0 22 * * *', timeZone: 'UTC', forMs: 8 * HOUR, min: 1 }]);
    expect(['21:59', '23:00', '05:59', '06:00'].map((time) => night(at(`2026-11-23T${time}:00Z`)).count)).toEqual([
      0, 1, 1, 0,
    ]);
  });

  test('begins right after an hour that the clocks skip', () => {
    const skipped = createSchedule([{ cron: '30 2 * * *', timeZone: 'Europe/Berlin', forMs: HOUR, min: 1 }]);
    expect(skipped(at('2026-03-29T00:45:00Z')).count).toBe(0);
    expect(skipped(at('2026-03-29T01:45:00Z')).count).toBe(1);
  });

  test('holds the larger minimum where times overlap, and says which it is', () => {
    const both = createSchedule([
      { cron: '0 8 * * *', timeZone: 'UTC', forMs: 4 * HOUR, min: 2 },
      { cron: '0 9 * * *', timeZone: 'UTC', forMs: HOUR, min: 5 },
    ]);
    expect(both(at('2026-11-23T08:30:00Z'))).toEqual({ count: 2, reason: 'the schedule "0 8 * * *"' });
    expect(both(at('2026-11-23T09:30:00Z'))).toEqual({ count: 5, reason: 'the schedule "0 9 * * *"' });
    expect(both(at('2026-11-23T10:30:00Z')).count).toBe(2);
  });
});
