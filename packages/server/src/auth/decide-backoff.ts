/** Failures that cost an address nothing; the next one holds it back. */
export const FREE_FAILURES = 5;
const FIRST_HOLD_MS = 1000;
const LONGEST_HOLD_MS = 300_000;
/** An address without a failure for this long starts anew. */
const FORGET_MS = 900_000;

/** What is remembered of the failures of one address; moments are of the monotonic clock. */
export interface Failures {
  readonly count: number;
  readonly lastAt: number;
  /** Until when every attempt is refused unseen. */
  readonly heldUntil: number;
}

/** The failures after one more at `now`: beyond the free ones each doubles the hold, up to five minutes. */
export function decideBackoff(previous: Failures | undefined, now: number): Failures {
  const count = previous && now - previous.lastAt < FORGET_MS ? previous.count + 1 : 1;
  const beyond = count - FREE_FAILURES;
  const holdMs = beyond <= 0 ? 0 : Math.min(FIRST_HOLD_MS * 2 ** Math.min(beyond - 1, 20), LONGEST_HOLD_MS);
  return { count, lastAt: now, heldUntil: now + holdMs };
}

/** How many more failures an address may cause before it is held back; at least one once a hold is over. */
export function attemptsLeft(failures: Failures | undefined, now: number): number {
  if (!failures || now - failures.lastAt >= FORGET_MS) return FREE_FAILURES;
  if (now < failures.heldUntil) return 0;
  return Math.max(FREE_FAILURES - failures.count, 1);
}
