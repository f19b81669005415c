/** What a rate cap lets through. */
export interface RateCapLimits {
  readonly linesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Lets lines through at a bounded rate; what it refuses is the caller's to count. */
export interface RateCap {
  /** Whether a line of that size may pass at `now` (monotonic milliseconds); if so it is counted. */
  admits(bytes: number, now: number): boolean;
}

/** Makes a token bucket over lines and bytes that holds one second's worth of both and starts full. */
export function createRateCap(limits: RateCapLimits): RateCap {
  let lines = limits.linesPerSecond;
  let bytes = limits.bytesPerSecond;
  let filledAt: number | undefined;
  return {
    admits(size, now) {
      const seconds = Math.max(0, now - (filledAt ?? now)) / 1000;
      filledAt = now;
      lines = Math.min(limits.linesPerSecond, lines + seconds * limits.linesPerSecond);
      bytes = Math.min(limits.bytesPerSecond, bytes + seconds * limits.bytesPerSecond);
      // A line larger than the bucket passes when the bucket is full, or it never would.
      if (lines < 1 || bytes < Math.min(size, limits.bytesPerSecond)) return false;
      lines -= 1;
      bytes -= Math.min(size, limits.bytesPerSecond);
      return true;
    },
  };
}
