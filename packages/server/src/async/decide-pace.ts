/** What is known when the pace is looked at. */
export interface PaceFacts {
  /** Whether calls from outside came lately: somebody waits for their answers. */
  readonly isShared: boolean;
  /** How much later than asked for the event loop came to this, in milliseconds. */
  readonly lagMs: number;
}

/** Pace of the first look that finds calls from outside. */
const FIRST = 1;
const LEAST = 0.25;
/** Beyond it nothing is bounded; with calls from outside, never more than that. */
const MOST = 4;
/** A loop that is later than this has too much to do. */
const LATE_MS = 1.5;
const SLOWER = 0.7;
const FASTER = 0.1;

/**
 * How many attempts may begin until the next look. While nobody else is served there is no bound. Beside calls from
 * outside it is few, and as many as leave the event loop on time: less at once when it is late, a little more each time it
 * is not. Attempts that run are never bounded by it.
 */
export function decidePace(before: number, { isShared, lagMs }: PaceFacts): number {
  if (!isShared) return before >= MOST ? Infinity : Math.max(LEAST, before * 2);
  if (before === Infinity) return FIRST;
  return Math.min(MOST, lagMs > LATE_MS ? Math.max(LEAST, before * SLOWER) : before + FASTER);
}
