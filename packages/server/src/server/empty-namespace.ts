import { EbbError } from '../core/errors.ts';
import type { Queue } from '../store/queue.ts';
import type { JobEngine } from '../jobs/create-jobs.ts';

/** Records forgotten in one commit. */
const AT_ONCE = 1_000;

/** What a namespace may have left when its functions are gone. */
export interface NamespaceWork {
  readonly queue: Pick<Queue, 'count' | 'clear'>;
  readonly jobs: Pick<JobEngine, 'openIn' | 'clear'>;
}

/**
 * Forgets the calls and jobs of a namespace that is removed, so that whoever makes one of its name finds nothing of it
 * (T3). Throws NAMESPACE_NOT_EMPTY, with everything left as it is, while one has not ended: nothing accepted is dropped.
 */
export async function emptyNamespace(name: string, { queue, jobs }: NamespaceWork): Promise<void> {
  const { queued, running } = await queue.count(name);
  if (queued + running > 0) {
    throw new EbbError(
      'NAMESPACE_NOT_EMPTY',
      `namespace "${name}" still has asynchronous calls: ${queued} wait and ${running} run; let them end or cancel them ("ebb invocations list --namespace ${name}" shows them, items of queues among them)`,
    );
  }
  const open = jobs.openIn(name);
  if (open > 0) {
    throw new EbbError(
      'NAMESPACE_NOT_EMPTY',
      `namespace "${name}" still has jobs that have not ended: ${open}; let them end or cancel them ("ebb job list --namespace ${name}")`,
    );
  }
  while ((await queue.clear(name, AT_ONCE)) === AT_ONCE);
  await jobs.clear(name);
}
