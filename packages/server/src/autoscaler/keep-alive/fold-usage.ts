import { addGap, type GapCounts, NO_GAPS } from './gap-counts.ts';

/** How a function has been used; milliseconds of one clock that never goes back. */
export interface Usage {
  /** Whether it had a call when it was last looked at. */
  readonly isActive: boolean;
  /** When it last had one; absent before the first. */
  readonly lastActiveAt?: number;
  /** How long it was without a call, each time. */
  readonly gaps: GapCounts;
  /** Calls since it last had no instance. */
  readonly calls: number;
  /** The host's {@link EvictionAge} at its last call. */
  readonly age: number;
}

/** The worth of what was last evicted on a host: what is not used again falls behind it. Grows only. */
export type EvictionAge = number;

/** What was seen of a function since it was last looked at. */
export interface UsageSeen {
  /** Calls that arrived. */
  readonly arrived: number;
  /** Whether a call is there now. */
  readonly isActive: boolean;
  readonly age: EvictionAge;
}

/** Before anything was seen. */
export const NO_USAGE: Usage = { isActive: false, gaps: NO_GAPS, calls: 0, age: 0 };

/** The usage with what was seen up to `now`. */
export function foldUsage(usage: Usage, seen: UsageSeen, now: number): Usage {
  const { arrived, isActive, age } = seen;
  if (arrived === 0 && !isActive) return usage.isActive ? { ...usage, isActive } : usage;
  const hadGap = arrived > 0 && !usage.isActive && usage.lastActiveAt !== undefined;
  return {
    isActive,
    lastActiveAt: now,
    gaps: hadGap ? addGap(usage.gaps, now - (usage.lastActiveAt ?? now)) : usage.gaps,
    calls: usage.calls + arrived,
    age: arrived > 0 ? age : usage.age,
  };
}

/** The usage of a function whose last instance is gone. */
export function foldGone(usage: Usage): Usage {
  return usage.calls === 0 ? usage : { ...usage, calls: 0 };
}
