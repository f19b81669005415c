/**
 * Number of a function's next version. `highest` is the largest its name ever used, failed deploys and removed
 * functions included: numbers only grow, so that an instance left from before is never taken for one of a later
 * version (V1).
 */
export function decideVersionNumber(live: number | undefined, highest: number): number {
  return Math.max(highest, live ?? 0) + 1;
}
