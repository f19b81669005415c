import type { RolloutRule, RolloutSide } from '@ebb/contract';
import { DURATION_BUCKETS, quantileMs } from '../telemetry/fold-durations.ts';

/** What was seen of one version over some time. */
export interface SideCounts {
  readonly calls: number;
  readonly failed: number;
  /** Durations by bucket; all of them, or none where nothing was seen. */
  readonly durations: readonly number[];
  /** The same, each stretch of time with a bounded weight; see {@link foldObservations}. */
  readonly paced: readonly number[];
  readonly starts: number;
  readonly failedStarts: number;
}

/** What was seen of both versions over the same time. */
export interface BothSides {
  readonly old: SideCounts;
  readonly new: SideCounts;
}

/** Both sides over a part of a step. */
export interface ObservedWindow extends BothSides {
  /** Counts the windows of a rollout, from 1; what is looked for in a later one must be surer (see decide-worse.ts). */
  readonly ordinal: number;
}

/** What a step that is over says of each rule. */
export interface PastStep {
  /** Of its first window. */
  readonly ordinal: number;
  readonly evidence: Readonly<Record<RolloutRule, number>>;
}

/** What was seen during a rollout. Never changed. */
export interface Observations {
  /** What was seen of the old version shortly before this step. */
  readonly baseline: SideCounts;
  /** Steps that are over, oldest first. */
  readonly past: readonly PastStep[];
  /** The windows of this step, one after the other; the oldest ones are put together. */
  readonly windows: readonly ObservedWindow[];
  /** Everything. */
  readonly total: BothSides;
}

/** Nothing seen. */
export const NOTHING_SEEN: SideCounts = {
  calls: 0,
  failed: 0,
  durations: [],
  paced: [],
  starts: 0,
  failedStarts: 0,
};

const NOTHING: BothSides = { old: NOTHING_SEEN, new: NOTHING_SEEN };

/** A window is over when the new version had so many calls in it. */
const WINDOW_CALLS = 100;
/** Windows kept apart; so a version that begins to fail late is not excused by all its good calls before. */
const MOST_WINDOWS = 24;
/** A baseline of so many calls is enough; a smaller one is kept for the next step too. */
const BASELINE_CALLS = 1000;
/**
 * Calls within this time are taken for one as far as their duration goes: a pause of the machine or of the garbage
 * collector makes all of them slow, and so says no more than one would.
 */
const ONE_PAUSE_MS = 100;

/** Begins to observe; `baseline` is what was seen of the old version before, `ordinal` the number of the first window. */
export function beginObservations(baseline: SideCounts, ordinal: number): Observations {
  return {
    baseline,
    past: [],
    windows: [{ ordinal, ...NOTHING }],
    total: { old: baseline, new: NOTHING_SEEN },
  };
}

/** Adds what was seen in the last `elapsedMs`. */
export function foldObservations(observations: Observations, seen: BothSides, elapsedMs: number): Observations {
  const paced = { old: withPace(seen.old, elapsedMs), new: withPace(seen.new, elapsedMs) };
  return {
    ...observations,
    windows: withSeen(observations.windows, paced),
    total: addSides(observations.total, paced),
  };
}

/** Begins a step: from now on calls are divided differently, so what was seen before cannot be added up with it. */
export function foldStep(observations: Observations, evidence: PastStep['evidence']): Observations {
  const { windows, past, baseline } = observations;
  const [first] = windows;
  const last = windows.at(-1);
  if (!first || !last) return observations;
  return {
    ...observations,
    baseline: baselineAfter(baseline, stepOf(observations).old),
    past: [...past, { ordinal: first.ordinal, evidence }],
    windows: [{ ordinal: last.ordinal + 1, ...NOTHING }],
  };
}

/** Everything that was seen in this step. */
export function stepOf({ windows }: Observations): BothSides {
  return windows.reduce<BothSides>(addSides, NOTHING);
}

/** What is known of the old version for the next step. */
export function baselineAfter(baseline: SideCounts, old: SideCounts): SideCounts {
  return old.calls >= BASELINE_CALLS ? old : addCounts(baseline, old);
}

/** Both together. */
export function addCounts(left: SideCounts, right: SideCounts): SideCounts {
  return {
    calls: left.calls + right.calls,
    failed: left.failed + right.failed,
    durations: addDurations(left.durations, right.durations),
    paced: addDurations(left.paced, right.paced),
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

function withSeen(windows: Observations['windows'], seen: BothSides): readonly ObservedWindow[] {
  const last = windows.at(-1);
  if (!last) return [{ ordinal: 1, ...seen }];
  if (last.new.calls < WINDOW_CALLS) return [...windows.slice(0, -1), { ...last, ...addSides(last, seen) }];
  const next = [...windows, { ordinal: last.ordinal + 1, ...seen }];
  const [first, second, ...rest] = next;
  return next.length > MOST_WINDOWS && first && second ? [{ ...first, ...addSides(first, second) }, ...rest] : next;
}

function addSides(left: BothSides, right: BothSides): BothSides {
  return { old: addCounts(left.old, right.old), new: addCounts(left.new, right.new) };
}

function withPace(seen: SideCounts, elapsedMs: number): SideCounts {
  const count = seen.durations.reduce((sum, one) => sum + one, 0);
  const most = elapsedMs / ONE_PAUSE_MS;
  return { ...seen, paced: count <= most ? seen.durations : seen.durations.map((one) => (one * most) / count) };
}

function addDurations(left: readonly number[], right: readonly number[]): readonly number[] {
  if (left.length === 0) return right;
  if (right.length === 0) return left;
  const both = left.slice();
  for (let bucket = 0; bucket < DURATION_BUCKETS; bucket += 1)
    both[bucket] = (left[bucket] ?? 0) + (right[bucket] ?? 0);
  return both;
}
