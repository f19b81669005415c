const FIRST_MS = 250;
const LONGEST_MS = 30_000;

/** How long no further start is tried after the n-th failed one in a row: doubling from 250 ms to 30 s. */
export function startBackoffMs(failedStarts: number): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(16, Math.max(0, failedStarts - 1)));
}
