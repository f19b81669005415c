import type { Counter } from 'prom-client';

/** The invocations of one function that have begun: those that have ended, and those that have not. */
export interface StartedCalls {
  /** Counts calls that have ended. */
  ended(count: number): void;
  /** Brings the counter up to date; `running` have begun and not ended. */
  show(running: number): void;
}

/**
 * Makes the count. Nothing is done when a call begins: what runs is known anyhow when somebody looks. The counter never
 * goes back, though a call may leave those that run a moment before it is among those that have ended.
 */
export function createStartedCalls(counter: Counter.Internal): StartedCalls {
  let ended = 0;
  let shown = 0;
  counter.inc(0);
  return {
    ended(count) {
      ended += count;
    },
    show(running) {
      const more = ended + running - shown;
      if (more <= 0) return;
      counter.inc(more);
      shown += more;
    },
  };
}
