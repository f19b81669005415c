import type { WaitCause } from '@ebb/contract';
import { DurationSeries } from './duration-histogram.ts';
import type { InvocationEvent } from './invocation-event.ts';
import { type CountedCopies, createCopyTally } from './copy-tally.ts';

/** Upper bounds of the buckets of every duration, in seconds. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Label of calls whose name meant no function: a caller must not be able to make series at will. */
export const UNKNOWN = 'unknown';

/** The label a call is counted under. */
export function labelOf({ version, label }: InvocationEvent): string {
  return version > 0 ? label : UNKNOWN;
}

/** Durations counted in the buckets of {@link SECONDS}. */
export interface CountedDurations {
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Calls of one function, counted; plain enough to be sent to another process. */
export interface CountedCalls {
  readonly label: string;
  readonly codes: readonly { readonly status: number; readonly count: number; readonly seconds: CountedDurations }[];
  /** How many waited for a start. */
  readonly cold: number;
  /** How many waited, by what for. */
  readonly waited: readonly (readonly [cause: WaitCause, count: number])[];
  readonly queue: CountedDurations;
}

/** What was counted in one report. */
export interface Counted {
  readonly calls: readonly CountedCalls[];
  /** Copies that went to shadow versions. */
  readonly copies: readonly CountedCopies[];
}

/** Counts calls for metrics that are kept by another process. */
export interface CallTally {
  record(event: InvocationEvent): void;
  /** What was counted since the last time. */
  take(): Counted;
}

interface Tally {
  readonly codes: Map<number, { count: number; readonly seconds: DurationSeries }>;
  cold: number;
  readonly waited: Map<WaitCause, number>;
  readonly queue: DurationSeries;
}

/** Makes a tally, empty. */
export function createCallTally(): CallTally {
  let tallies = new Map<string, Tally>();
  const copies = createCopyTally();
  return {
    record(event) {
      if (event.shadow) {
        copies.record(event, event.shadow);
        return;
      }
      const label = labelOf(event);
      let tally = tallies.get(label);
      if (!tally) {
        tally = { codes: new Map(), cold: 0, waited: new Map(), queue: new DurationSeries(SECONDS) };
        tallies.set(label, tally);
      }
      let code = tally.codes.get(event.status);
      if (!code) {
        code = { count: 0, seconds: new DurationSeries(SECONDS) };
        tally.codes.set(event.status, code);
      }
      code.count += 1;
      code.seconds.observe(event.durationMs / 1000);
      tally.queue.observe(event.phases.queueMs / 1000);
      if (event.cold) tally.cold += 1;
      if (event.wait) tally.waited.set(event.wait.cause, (tally.waited.get(event.wait.cause) ?? 0) + 1);
    },
    take() {
      const taken = tallies;
      tallies = new Map();
      const calls = Array.from(taken, ([label, { codes, cold, waited, queue }]) => ({
        label,
        codes: Array.from(codes, ([status, { count, seconds }]) => ({ status, count, seconds: plain(seconds) })),
        cold,
        waited: [...waited],
        queue: plain(queue),
      }));
      return { calls, copies: copies.take() };
    },
  };
}

function plain({ counts, sum }: DurationSeries): CountedDurations {
  return { counts, sum };
}
