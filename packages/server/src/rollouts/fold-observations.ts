import type { RolloutSide } from '@ebb/contract';
import { DURATION_BUCKETS, quantileMs } from '../telemetry/fold-durations.ts';

/** What was seen of one version over some time. */
export interface SideCounts {
  readonly calls: number;
  readonly failed: number;
  /** Durations by bucket; all of them, or none where nothing was seen. */
  readonly durations: readonly number[];
  readonly starts: number;
  readonly failedStarts: number;
}

/** What was seen of both versions over the same time. */
export interface ObservedWindow {
  /** Counts the windows of a rollout, from 1; what is looked for in a later one must be surer (see decide-worse.ts). */
  readonly ordinal: number;
  readonly old: SideCounts;
  readonly new: SideCounts;
}

/** What was seen during a rollout: windows one after the other, the oldest ones put together. Never changed. */
export interface Observations {
  readonly windows: readonly ObservedWindow[];
  readonly total: Pick<ObservedWindow, 'old' | 'new'>;
}

/** Nothing seen. */
export const NOTHING_SEEN: SideCounts = { calls: 0, failed: 0, durations: [], starts: 0, failedStarts: 0 };

/** A window is over when the new version had so many calls in it. */
const WINDOW_CALLS = 100;
/** Windows kept apart; so a version that begins to fail late is not excused by all its good calls before. */
const MOST_WINDOWS = 24;

/** Begins to observe; `baseline` is what was seen of the old version before, `ordinal` the number of the first window. */
export function beginObservations(baseline: SideCounts, ordinal: number): Observations {
  const total = { old: baseline, new: NOTHING_SEEN };
  return { windows: [{ ordinal, ...total }], total };
}

/** Adds what was seen since the last time. */
export function foldObservations(
  { windows, total }: Observations,
  seen: Pick<ObservedWindow, 'old' | 'new'>,
): Observations {
  return { windows: withSeen(windows, seen), total: both(total, seen) };
}

function withSeen(
  windows: Observations['windows'],
  seen: Pick<ObservedWindow, 'old' | 'new'>,
): readonly ObservedWindow[] {
  const last = windows.at(-1);
  if (!last) return [{ ordinal: 1, ...seen }];
  if (last.new.calls < WINDOW_CALLS) return [...windows.slice(0, -1), { ...last, ...both(last, seen) }];
  const next = [...windows, { ordinal: last.ordinal + 1, ...seen }];
  const [first, second, ...rest] = next;
  return next.length > MOST_WINDOWS && first && second ? [{ ...first, ...both(first, second) }, ...rest] : next;
}

function both(left: Pick<ObservedWindow, 'old' | 'new'>, right: Pick<ObservedWindow, 'old' | 'new'>) {
  return { old: addCounts(left.old, right.old), new: addCounts(left.new, right.new) };
}

/** Both together. */
export function addCounts(left: SideCounts, right: SideCounts): SideCounts {
  return {
    calls: left.calls + right.calls,
    failed: left.failed + right.failed,
    durations: addDurations(left.durations, right.durations),
    starts: left.starts + right.starts,
    failedStarts: left.failedStarts + right.failedStarts,
  };
}

/** The numbers of one side as people read them. */
export function describeSide(version: number, seen: SideCounts): RolloutSide {
  const p95 = quantileMs(seen.durations, 0.95);
  return {
    version,
    calls: seen.calls,
    failed: seen.failed,
    ...(p95 === undefined ? {} : { p95Ms: Number(p95.toPrecision(3)) }),
    starts: seen.starts,
    failedStarts: seen.failedStarts,
  };
}

function addDurations(left: readonly number[], right: readonly number[]): readonly number[] {
  if (left.length === 0) return right;
  if (right.length === 0) return left;
  const both = left.slice();
  for (let bucket = 0; bucket < DURATION_BUCKETS; bucket += 1)
    both[bucket] = (left[bucket] ?? 0) + (right[bucket] ?? 0);
  return both;
}
