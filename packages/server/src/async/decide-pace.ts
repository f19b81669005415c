/** What is known when the pace is looked at. */
export interface PaceFacts {
  /** Calls from outside a second, of late; 0 when nobody waits for an answer. */
  readonly outsidePerSecond: number;
  /** How much later than asked for the event loop came to this, in milliseconds. */
  readonly lagMs: number;
}

/** Pace of the first look that finds calls from outside. */
const FIRST = 1;
const LEAST = 0.25;
/** The most beside calls from outside: among few of them, and among many. */
const MOST_AMONG_FEW = 40;
const MOST_AMONG_MANY = 4;
/** Where one becomes the other: so many calls from outside a second for each that may begin until the next look. */
const SHARE = 8_000;
/** A loop that is later than this has too much to do. */
const LATE_MS = 1.5;
const SLOWER = 0.7;
const FASTER = 0.1;

/**
 * How many attempts may begin until the next look. While nobody else is served there is no bound. Beside calls from
 * outside it is few, the fewer the more of those there are, and as many as leave the event loop on time: less at once when
 * it is late, a little more each time it is not. Attempts that run are never bounded by it.
 */
export function decidePace(before: number, { outsidePerSecond, lagMs }: PaceFacts): number {
  if (outsidePerSecond === 0) return before >= MOST_AMONG_FEW ? Infinity : Math.max(LEAST, before * 2);
  if (before === Infinity) return FIRST;
  const most = Math.max(MOST_AMONG_MANY, Math.min(MOST_AMONG_FEW, SHARE / outsidePerSecond));
  return Math.min(most, lagMs > LATE_MS ? Math.max(LEAST, before * SLOWER) : before + FASTER);
}
