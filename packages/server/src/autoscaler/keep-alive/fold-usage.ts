import { addGap, type GapCounts, NO_GAPS } from './gap-counts.ts';

/** How a function has been used; milliseconds of one clock that never goes back. */
export interface Usage {
  /** Whether it had a call when it was last looked at. */
  readonly isActive: boolean;
  /** When it last had one; absent before the first. */
  readonly lastActiveAt?: number;
  /** How long it was without a call, each time. */
  readonly gaps: GapCounts;
  /** Calls since it last had no instance; those of an hour ago count half. */
  readonly calls: number;
}

/** After this long a call counts half. */
const HALF_LIFE_MS = 3_600_000;

/** What was seen of a function since it was last looked at. */
export interface UsageSeen {
  /** Calls that arrived. */
  readonly arrived: number;
  /** Whether a call is there now. */
  readonly isActive: boolean;
}

/** Before anything was seen. */
export const NO_USAGE: Usage = { isActive: false, gaps: NO_GAPS, calls: 0 };

/** The usage with what was seen up to `now`. */
export function foldUsage(usage: Usage, seen: UsageSeen, now: number): Usage {
  const { arrived, isActive } = seen;
  if (arrived === 0 && !isActive) return usage.isActive ? { ...usage, isActive } : usage;
  const hadGap = arrived > 0 && !usage.isActive && usage.lastActiveAt !== undefined;
  return {
    isActive,
    lastActiveAt: now,
    gaps: hadGap ? addGap(usage.gaps, now - (usage.lastActiveAt ?? now)) : usage.gaps,
    calls: fade(usage.calls, now - (usage.lastActiveAt ?? now)) + arrived,
  };
}

/** The usage of a function whose last instance is gone. */
export function foldGone(usage: Usage): Usage {
  return usage.calls === 0 ? usage : { ...usage, calls: 0 };
}

/** What a number of calls counts after a time. */
export function fade(calls: number, afterMs: number): number {
  return calls * 2 ** (-afterMs / HALF_LIFE_MS);
}
