import type { ScheduledMinimum } from '@ebb/contract';
import { Cron } from 'croner';

/** Fewest instances by schedule at a moment, and which entry says so. */
export interface Scheduled {
  readonly count: number;
  readonly reason: string;
}

/**
 * Reads a schedule once and tells for any moment (milliseconds since the Unix epoch) which minimum holds. A time that
 * begins in an hour the clocks skip begins right after it. Of times that overlap, the larger minimum holds.
 */
export function createSchedule(schedule: readonly ScheduledMinimum[]): (epochMs: number) => Scheduled {
  const times = schedule.map((time) => ({ ...time, pattern: new Cron(time.cron, { timezone: time.timeZone }) }));
  return (epochMs) => {
    let most: Scheduled = { count: 0, reason: 'no schedule' };
    for (const { pattern, forMs, min, cron } of times) {
      if (min <= most.count) continue;
      // It has begun if the first beginning that could still last is not in the future.
      const begin = pattern.nextRun(new Date(epochMs - forMs))?.getTime();
      if (begin !== undefined && begin <= epochMs) most = { count: min, reason: `the schedule "${cron}"` };
    }
    return most;
  };
}
