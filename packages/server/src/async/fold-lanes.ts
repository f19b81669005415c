import type { LaneStats } from '../store/queue.ts';

/** How the calls of a function stand, or of all addresses or queues of a namespace. */
export interface LaneGauges {
  readonly label: string;
  readonly queued: number;
  readonly running: number;
  readonly oldestSeconds: number;
}

/**
 * What the metrics say of lanes: each function by `NAME.NAMESPACE`; addresses, of which callers can name any number, as
 * one, and queues too.
 */
export function foldLanes(lanes: readonly LaneStats[], now: number): readonly LaneGauges[] {
  const byLabel = new Map<string, LaneGauges>();
  for (const { lane, namespace, queued, running, oldestAt } of lanes) {
    const label = labelOf(lane, namespace);
    const before = byLabel.get(label);
    const oldestSeconds = oldestAt === undefined ? 0 : Math.max(0, (now - oldestAt) / 1000);
    byLabel.set(label, {
      label,
      queued: queued + (before?.queued ?? 0),
      running: running + (before?.running ?? 0),
      oldestSeconds: Math.max(oldestSeconds, before?.oldestSeconds ?? 0),
    });
  }
  return [...byLabel.values()];
}

function labelOf(lane: string, namespace: string): string {
  const name = lane.slice(namespace.length + 1);
  const colon = name.indexOf(':');
  return `${colon === -1 ? name : name.slice(0, colon + 1)}.${namespace}`;
}
