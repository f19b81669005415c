import type { JobState } from '@ebb/contract';

/** A job that is submitted, as far as the order of jobs goes. */
export interface SubmittedJob {
  readonly id: string;
  readonly name: string;
  readonly after: readonly string[];
}

/** The ids that each job comes after, or why that cannot be. */
export type DependenciesDecision =
  | { readonly kind: 'ok'; readonly after: readonly (readonly string[])[] }
  | { readonly kind: 'refused'; readonly message: string };

/**
 * Finds out which jobs are meant by the `after` of jobs that are submitted together: each other by name, or others by
 * id. Refuses what is unknown and what comes after itself.
 */
export function decideDependencies(
  jobs: readonly SubmittedJob[],
  isKnown: (id: string) => boolean,
): DependenciesDecision {
  const byName = new Map<string, SubmittedJob>();
  for (const job of jobs) {
    if (byName.has(job.name) && jobs.some(({ after }) => after.includes(job.name))) {
      return refused(`two of the jobs are called "${job.name}", so "after" cannot tell them apart`);
    }
    byName.set(job.name, job);
  }
  for (const { name, after } of jobs) {
    const unknown = after.find((wanted) => !byName.has(wanted) && !isKnown(wanted));
    if (unknown !== undefined) {
      return refused(
        `"${name}" comes after "${unknown}", which is neither submitted with it nor the id of a job; "ebb job list" shows the ids`,
      );
    }
  }
  const circle = findCircle(jobs, byName);
  if (circle) return refused(`the jobs come after each other in a circle: ${circle.join(' after ')}`);
  return { kind: 'ok', after: jobs.map(({ after }) => after.map((wanted) => byName.get(wanted)?.id ?? wanted)) };
}

/** What a job that comes after others may do. */
export type AfterDecision =
  | { readonly kind: 'begin' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'skip'; readonly reason: string };

/** Whether a job may begin, from how those stand that it comes after; `undefined` for one that is gone. */
export function decideAfter(
  others: readonly { readonly id: string; readonly state: JobState | undefined }[],
): AfterDecision {
  for (const { id, state } of others) {
    if (state === undefined) return { kind: 'skip', reason: `skipped: the job "${id}" that it comes after is gone` };
    if (state === 'failed') return { kind: 'skip', reason: `skipped: the job "${id}" that it comes after failed` };
    if (state === 'cancelled') {
      return { kind: 'skip', reason: `skipped: the job "${id}" that it comes after was cancelled` };
    }
  }
  return { kind: others.every(({ state }) => state === 'succeeded') ? 'begin' : 'wait' };
}

function refused(message: string): DependenciesDecision {
  return { kind: 'refused', message };
}

/** The names around a circle, the first one again at its end; undefined when there is none. */
function findCircle(
  jobs: readonly SubmittedJob[],
  byName: ReadonlyMap<string, SubmittedJob>,
): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (job: SubmittedJob, path: readonly string[]): readonly string[] | undefined => {
    const seenAt = path.indexOf(job.name);
    if (seenAt !== -1) return [...path.slice(seenAt), job.name];
    if (done.has(job.name)) return undefined;
    for (const wanted of job.after) {
      const next = byName.get(wanted);
      const circle = next && visit(next, [...path, job.name]);
      if (circle) return circle;
    }
    done.add(job.name);
    return undefined;
  };
  for (const job of jobs) {
    const circle = visit(job, []);
    if (circle) return circle;
  }
  return undefined;
}
