import type { TaskCounts } from '@ebb/contract';
import type { JobRecord } from './job-record.ts';

/** What is written of a job when it ends. */
export type JobEnd = Pick<JobRecord, 'state' | 'reason' | 'counts'>;

/** How a job ends that stands like this; undefined while something of it runs or is still to be done. */
export function decideJobEnd(
  { ending, count }: Pick<JobRecord, 'ending' | 'count'>,
  counts: TaskCounts,
): JobEnd | undefined {
  if (counts.running > 0 || (counts.queued > 0 && !ending)) return undefined;
  const how = ending ?? (counts.failed > 0 ? failedBy(counts.failed, count) : { state: 'succeeded' as const });
  return { ...how, counts: { ...counts, queued: 0, cancelled: counts.cancelled + counts.queued } };
}

function failedBy(failed: number, count: number): Pick<JobEnd, 'state' | 'reason'> {
  return { state: 'failed', reason: count === 1 ? 'its task failed' : `${failed} of ${count} tasks failed` };
}
