import { DURATION_BUCKETS } from '../telemetry/fold-durations.ts';
import type { CountedVersion } from '../telemetry/version-tally.ts';
import { addCounts, NOTHING_SEEN, type SideCounts } from './fold-observations.ts';

/** What was seen of a version, with calls more. */
export function addCounted(seen: SideCounts, { calls, failed, durations }: CountedVersion): SideCounts {
  const dense = Array.from({ length: DURATION_BUCKETS }, () => 0);
  for (const [bucket, count] of durations) if (bucket < DURATION_BUCKETS) dense[bucket] = count;
  return addCounts(seen, { ...NOTHING_SEEN, calls, failed, durations: dense });
}
