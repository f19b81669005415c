import type { InvocationEvent, ShadowOutcome, ShadowReport } from './invocation-event.ts';

/** Copies of a function's calls that went to a shadow version, counted; plain enough to be sent to another process. */
export interface CountedCopies {
  /** `NAME.NAMESPACE`. */
  readonly label: string;
  readonly outcomes: readonly (readonly [outcome: ShadowOutcome, count: number])[];
  /** Time the calls themselves took where both answers came, and how long their copies took, in seconds. */
  readonly primarySeconds: number;
  readonly shadowSeconds: number;
}

/** Counts copies of calls. */
export interface CopyTally {
  record(event: InvocationEvent, shadow: ShadowReport): void;
  /** What was counted since the last time. */
  take(): readonly CountedCopies[];
}

interface Tally {
  readonly outcomes: Map<ShadowOutcome, number>;
  primarySeconds: number;
  shadowSeconds: number;
}

/** Outcomes in which both versions answered, so that their times can be compared. */
const ANSWERED: readonly ShadowOutcome[] = ['same', 'status-differs', 'body-differs'];

/** Makes a tally, empty. */
export function createCopyTally(): CopyTally {
  let tallies = new Map<string, Tally>();
  return {
    record({ label, durationMs }, { outcome, primaryMs }) {
      let tally = tallies.get(label);
      if (!tally) {
        tally = { outcomes: new Map(), primarySeconds: 0, shadowSeconds: 0 };
        tallies.set(label, tally);
      }
      tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
      if (!ANSWERED.includes(outcome)) return;
      tally.primarySeconds += primaryMs / 1000;
      tally.shadowSeconds += durationMs / 1000;
    },
    take() {
      const taken = tallies;
      tallies = new Map();
      return Array.from(taken, ([label, { outcomes, primarySeconds, shadowSeconds }]) => ({
        label,
        outcomes: [...outcomes],
        primarySeconds,
        shadowSeconds,
      }));
    },
  };
}
