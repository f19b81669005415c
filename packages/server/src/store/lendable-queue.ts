import { type Lendable, openLending } from './lendable.ts';
import type { Queue } from './queue.ts';

/** Told which lanes have got items; undefined where that is not known and all may have. */
export type WorkListener = (lanes: readonly string[] | undefined) => void;

/** A queue whose file can be given to another process for a while. */
export interface LendableQueue extends Queue, Lendable {
  /**
   * Calls `listener` after items were queued, or right before where a lease finds what is just being queued, until the
   * returned object is disposed. It must not throw, and must not lease before it has returned.
   */
  onWork(listener: WorkListener): Disposable;
}

/** Makes a queue of one that `open` opens; each time it must be the same driver. */
export async function openLendableQueue(open: () => Promise<Queue>): Promise<LendableQueue> {
  const listeners = new Set<WorkListener>();
  const { use, ...lending } = await openLending(open);
  const { name, leasesWhatIsQueued = false } = await use(async (queue) => ({
    name: queue.name,
    leasesWhatIsQueued: queue.leasesWhatIsQueued,
  }));
  const tell = (lanes: readonly string[] | undefined): void => {
    for (const listener of listeners) listener(lanes);
  };
  return {
    ...lending,
    name,
    leasesWhatIsQueued,
    enqueue: (items, limits) =>
      use(async (queue) => {
        const told = () => {
          if (listeners.size > 0) tell(items.length === 1 ? [items[0]?.lane ?? ''] : lanesOf(items));
        };
        // In one stretch with the enqueue: any lease of those who were told comes after it.
        if (leasesWhatIsQueued) told();
        const enqueued = await queue.enqueue(items, limits);
        if (!leasesWhatIsQueued) told();
        return enqueued;
      }),
    lease: (request) => use((queue) => queue.lease(request)),
    extend: (receipts, untilAt) => use((queue) => queue.extend(receipts, untilAt)),
    async settle(settlements) {
      const settled = await use((queue) => queue.settle(settlements));
      const follow = settlements.flatMap((settlement) => settlement.follow ?? []);
      if (follow.length > 0) tell(lanesOf(follow));
      return settled;
    },
    async reclaim(options) {
      const lanes = await use((queue) => queue.reclaim(options));
      if (lanes.length > 0) tell(lanes);
      return lanes;
    },
    cancel: (id, options) => use((queue) => queue.cancel(id, options)),
    get: (id) => use((queue) => queue.get(id)),
    list: (query) => use((queue) => queue.list(query)),
    lanes: () => use((queue) => queue.lanes()),
    count: (namespace) => use((queue) => queue.count(namespace)),
    hasQueued: (target) => use((queue) => queue.hasQueued(target)),
    async redrive(pairs, now) {
      const redriven = await use((queue) => queue.redrive(pairs, now));
      if (redriven.includes(true)) tell(undefined);
      return redriven;
    },
    purge: (ids) => use((queue) => queue.purge(ids)),
    forget: (retention, now, max) => use((queue) => queue.forget(retention, now, max)),
    clear: (namespace, max) => use((queue) => queue.clear(namespace, max)),
    filesInUse: (digests) => use((queue) => queue.filesInUse(digests)),
    onWork(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
}

function lanesOf(items: readonly { readonly lane: string }[]): readonly string[] {
  return [...new Set(items.map(({ lane }) => lane))];
}
