/** Time as the platform reads it; tests hand in their own. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. For what people read. */
  now(): number;
  /** Milliseconds that never go backwards; for measuring and for deadlines. */
  monotonic(): number;
}

/** The clock of the host. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
