import type { PreparedNetwork, PreparedNetworks } from './prepared-networks.ts';

/** Namespaces that nobody was in for this long are thrown away. */
const IDLE_MS = 10_000;

/** Network namespaces that the tasks of one group follow each other in, one at a time. */
export interface TaskNetworks extends AsyncDisposable {
  /** One for a task of a group; undefined where there is none to be had. Never throws. */
  take(group: string): Promise<PreparedNetwork | undefined>;
  /** Says that the task in it has ended: the next one of its group may have it. */
  giveBack(group: string, network: PreparedNetwork): void;
  /** Throws one away that is of no use any more. */
  drop(network: PreparedNetwork): void;
  /** Says that no more tasks of a group come. */
  end(group: string): void;
}

/** Makes the namespaces of tasks. They never go from one group to another: what a task leaves behind stays its own. */
export function createTaskNetworks(
  networks: Pick<PreparedNetworks, 'borrow' | 'discard'>,
  idleMs = IDLE_MS,
): TaskNetworks {
  const free = new Map<string, PreparedNetwork[]>();
  const timers = new Map<string, NodeJS.Timeout>();
  const discarding = new Set<Promise<void>>();
  let isClosed = false;

  const drop = ({ holder }: PreparedNetwork) => {
    const done = networks.discard(holder).finally(() => discarding.delete(done));
    discarding.add(done);
  };
  const end = (group: string) => {
    clearTimeout(timers.get(group));
    timers.delete(group);
    for (const network of free.get(group) ?? []) drop(network);
    free.delete(group);
  };

  return {
    async take(group) {
      const found = free.get(group)?.pop();
      if (found || isClosed) return found;
      // A task starts without one as well, only later.
      return networks.borrow().catch(() => undefined);
    },
    giveBack(group, network) {
      if (isClosed) return drop(network);
      const list = free.get(group) ?? [];
      list.push(network);
      free.set(group, list);
      clearTimeout(timers.get(group));
      timers.set(group, setTimeout(end, idleMs, group).unref());
    },
    drop,
    end,
    async [Symbol.asyncDispose]() {
      isClosed = true;
      for (const group of free.keys()) end(group);
      await Promise.all(discarding);
    },
  };
}
