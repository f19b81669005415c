import type { Queue, Settlement } from '../../packages/server/src/store/queue.ts';

/** What a server does with its queue that a test can stop it at. */
type FaultStep = 'enqueue' | 'lease' | 'settle-succeeded' | 'settle-retry' | 'settle-dead' | 'cancel' | 'redrive';

/**
 * A moment of a step: before it is on disk, or after it, when nobody has been told yet. `between`: one of several dead
 * letters is redriven, the others are not.
 */
export type FaultPoint = `${FaultStep}:${'before' | 'after'}` | 'redrive:between';

/** Passes everything on to a queue and calls `reach` at each point; what `reach` does there, the server meets there. */
export function faultyQueue(queue: Queue, reach: (point: FaultPoint) => void): Queue {
  const around = async <T>(steps: readonly FaultStep[], work: () => Promise<T>): Promise<T> => {
    for (const step of steps) reach(`${step}:before`);
    const result = await work();
    for (const step of steps) reach(`${step}:after`);
    return result;
  };
  return {
    name: queue.name,
    enqueue: (items, limits) => around(['enqueue'], () => queue.enqueue(items, limits)),
    async lease(request) {
      const leased = await queue.lease(request);
      if (leased.leases.length > 0) reach('lease:after');
      return leased;
    },
    extend: (receipts, untilAt) => queue.extend(receipts, untilAt),
    settle: (settlements) => around(settlements.map(stepOf), () => queue.settle(settlements)),
    reclaim: (options) => queue.reclaim(options),
    cancel: (id, options) => around(['cancel'], () => queue.cancel(id, options)),
    get: (id) => queue.get(id),
    list: (query) => queue.list(query),
    lanes: () => queue.lanes(),
    count: (namespace) => queue.count(namespace),
    hasQueued: (target) => queue.hasQueued(target),
    redrive: (pairs, now) =>
      around(['redrive'], async () => {
        const [first, ...rest] = pairs;
        if (!first || rest.length === 0) return queue.redrive(pairs, now);
        const redriven = [...(await queue.redrive([first], now))];
        reach('redrive:between');
        return [...redriven, ...(await queue.redrive(rest, now))];
      }),
    purge: (ids) => queue.purge(ids),
    forget: (retention, now, max) => queue.forget(retention, now, max),
    clear: (namespace, max) => queue.clear(namespace, max),
    filesInUse: (digests) => queue.filesInUse(digests),
    [Symbol.asyncDispose]: () => queue[Symbol.asyncDispose](),
  };
}

function stepOf({ next }: Settlement): FaultStep {
  if (next.kind === 'cancelled') return 'cancel';
  return `settle-${next.kind}`;
}
