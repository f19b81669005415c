/** Buckets whose bounds grow by the eighth root of two, so that a percentile is right to a tenth of itself. */
const PER_DOUBLING = 8;
/** Upper bound of the first bucket. */
const FIRST_MS = 0.25;

/** How many buckets durations are counted in: up to a good six minutes; longer ones go into the last. */
export const DURATION_BUCKETS = 165;

/** The bucket of a duration in milliseconds. */
export function bucketOf(ms: number): number {
  if (!(ms > FIRST_MS)) return 0;
  return Math.min(DURATION_BUCKETS - 1, Math.ceil(Math.log2(ms / FIRST_MS) * PER_DOUBLING));
}

/** The longest duration of a bucket, in milliseconds. */
export function upperMs(bucket: number): number {
  return FIRST_MS * 2 ** (bucket / PER_DOUBLING);
}

/** The share `quantile` of the counted durations is at most so long, in milliseconds; undefined where none is counted. */
export function quantileMs(counts: readonly number[], quantile: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let seen = 0;
  for (const [bucket, count] of counts.entries()) {
    seen += count;
    if (count > 0 && seen >= quantile * total) return upperMs(bucket);
  }
  return upperMs(DURATION_BUCKETS - 1);
}
