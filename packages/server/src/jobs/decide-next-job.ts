/** A job as the choice sees it. */
export interface JobView {
  readonly id: string;
  readonly namespace: string;
  /** Whether its tasks are containers, which share the host; calls of functions have limits of their own. */
  readonly isContainer: boolean;
  /** Tasks that run. */
  readonly running: number;
  /** Whether a task could begin now. */
  readonly isReady: boolean;
  readonly parallelism: number;
  /** Memory one task may take. */
  readonly memoryBytes: number;
  /** Position in the order of submission. */
  readonly order: number;
}

/** What there is room for. */
export interface JobRoom {
  /** Most tasks of all jobs that are containers. */
  readonly maxContainers: number;
  /** Most tasks of all jobs that are calls. */
  readonly maxCalls: number;
  /** Most tasks at once of a namespace; undefined for any number. */
  readonly namespaceLimit: (namespace: string) => number | undefined;
  /** Memory that containers may take together. */
  readonly memoryBytes: number;
}

/**
 * The job whose task begins next, or undefined when none may. Of the namespaces the one with the fewest running tasks
 * comes first, of its jobs the one with the fewest, then the older one: so a job of ten thousand tasks holds up nobody
 * for longer than one task.
 */
export function decideNextJob(jobs: readonly JobView[], room: JobRoom): JobView | undefined {
  const running = new Map<string, number>();
  let containers = 0;
  let calls = 0;
  let bytes = 0;
  for (const job of jobs) {
    running.set(job.namespace, (running.get(job.namespace) ?? 0) + job.running);
    if (job.isContainer) {
      containers += job.running;
      bytes += job.running * job.memoryBytes;
    } else calls += job.running;
  }
  let best: JobView | undefined;
  for (const job of jobs) {
    if (!job.isReady || job.running >= job.parallelism) continue;
    const inNamespace = running.get(job.namespace) ?? 0;
    if (inNamespace >= (room.namespaceLimit(job.namespace) ?? Number.POSITIVE_INFINITY)) continue;
    if (job.isContainer) {
      if (containers >= room.maxContainers) continue;
      // One that alone is more than there is runs alone.
      if (containers > 0 && bytes + job.memoryBytes > room.memoryBytes) continue;
    } else if (calls >= room.maxCalls) continue;
    if (!best || isBefore(job, best, running)) best = job;
  }
  return best;
}

function isBefore(a: JobView, b: JobView, running: ReadonlyMap<string, number>): boolean {
  const byNamespace = (running.get(a.namespace) ?? 0) - (running.get(b.namespace) ?? 0);
  if (byNamespace !== 0) return byNamespace < 0;
  if (a.running !== b.running) return a.running < b.running;
  return a.order < b.order;
}
