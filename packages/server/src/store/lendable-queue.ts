import { type Lendable, openLending } from './lendable.ts';
import type { Queue } from './queue.ts';

/** A queue whose file can be given to another process for a while. */
export interface LendableQueue extends Queue, Lendable {}

/** Makes a queue of one that `open` opens; each time it must be the same driver. */
export async function openLendableQueue(open: () => Promise<Queue>): Promise<LendableQueue> {
  const { use, ...lending } = await openLending(open);
  const { name } = await use();
  return {
    ...lending,
    name,
    enqueue: async (items, limits) => (await use()).enqueue(items, limits),
    lease: async (request) => (await use()).lease(request),
    extend: async (receipts, untilAt) => (await use()).extend(receipts, untilAt),
    settle: async (settlements) => (await use()).settle(settlements),
    reclaim: async (options) => (await use()).reclaim(options),
    cancel: async (id, options) => (await use()).cancel(id, options),
    get: async (id) => (await use()).get(id),
    list: async (query) => (await use()).list(query),
    lanes: async () => (await use()).lanes(),
    count: async (namespace) => (await use()).count(namespace),
    hasQueued: async (target) => (await use()).hasQueued(target),
    redrive: async (pairs, now) => (await use()).redrive(pairs, now),
    purge: async (ids) => (await use()).purge(ids),
    forget: async (retention, now, max) => (await use()).forget(retention, now, max),
    filesInUse: async (digests) => (await use()).filesInUse(digests),
  };
}
