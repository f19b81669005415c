import type { DatabaseSync } from 'node:sqlite';
import { PHASE, type Phase } from './queue-schema.ts';

/** A lane with how many items it has in each phase. */
export interface LaneTally {
  /** What stands for the lane in other tables. */
  readonly id: number;
  readonly lane: string;
  readonly namespace: string;
  /** By {@link PHASE}. */
  readonly counts: number[];
}

/** The lanes there are, counted in memory, so that a limit costs nothing to check. */
export interface QueueTally {
  byName(lane: string): LaneTally | undefined;
  byId(id: number): LaneTally;
  /** The lane with this name, made when absent. */
  ensure(lane: string, namespace: string): LaneTally;
  all(): Iterable<LaneTally>;
  /** Notes that an item entered a phase, left one, or both. */
  move(lane: number, from: Phase | undefined, to: Phase | undefined): void;
  /** Queued and running items of a namespace. */
  openIn(namespace: string): number;
  /** Forgets lanes that nothing is left of. */
  prune(): void;
  /** Counts anew, after a transaction was rolled back. */
  reload(): void;
}

const PHASES = Object.values(PHASE).length;

/** Counts what is in the file. */
export function createQueueTally(database: DatabaseSync): QueueTally {
  const selectLanes = database.prepare('SELECT id, lane, namespace FROM lanes');
  // Between them the two indexes have every item, and neither needs a look at the rows.
  const selectCounts = database.prepare(
    `SELECT lane, phase, count(*) AS items FROM states INDEXED BY states_listed
     WHERE phase <> 0 AND phase <> 3 GROUP BY lane, phase
     UNION ALL SELECT lane, phase, count(*) AS items FROM states INDEXED BY states_open
     WHERE (phase = 0 OR phase = 3) AND sort IS NOT NULL GROUP BY lane, phase`,
  );
  const insertLane = database.prepare('INSERT INTO lanes (lane, namespace) VALUES (?, ?)');
  const deleteLane = database.prepare(
    'DELETE FROM lanes WHERE id = ? AND NOT EXISTS (SELECT 1 FROM promises WHERE promises.lane = lanes.id)',
  );
  const byName = new Map<string, LaneTally>();
  const byId = new Map<number, LaneTally>();
  const open = new Map<string, number>();

  const add = (id: number, lane: string, namespace: string): LaneTally => {
    const tally: LaneTally = { id, lane, namespace, counts: Array.from({ length: PHASES }, () => 0) };
    byName.set(lane, tally);
    byId.set(id, tally);
    return tally;
  };
  const laneOf = (id: number): LaneTally => byId.get(id) ?? add(id, `lost/${id}`, 'lost');

  const change = (id: number, phase: Phase, by: number): void => {
    const tally = laneOf(id);
    tally.counts[phase] = (tally.counts[phase] ?? 0) + by;
    if (phase <= PHASE.running) open.set(tally.namespace, (open.get(tally.namespace) ?? 0) + by);
  };

  const reload = (): void => {
    for (const map of [byName, byId, open]) map.clear();
    for (const row of selectLanes.all()) add(Number(row['id']), String(row['lane']), String(row['namespace']));
    for (const row of selectCounts.all())
      change(Number(row['lane']), Number(row['phase']) as Phase, Number(row['items']));
  };
  reload();

  return {
    byName: (lane) => byName.get(lane),
    byId: laneOf,
    ensure: (lane, namespace) =>
      byName.get(lane) ?? add(Number(insertLane.run(lane, namespace).lastInsertRowid), lane, namespace),
    all: () => byId.values(),
    move(lane, from, to) {
      if (from === to) return;
      if (from !== undefined) change(lane, from, -1);
      if (to !== undefined) change(lane, to, 1);
    },
    openIn: (namespace) => open.get(namespace) ?? 0,
    prune() {
      for (const { id, lane, counts } of byId.values()) {
        if (counts.some((count) => count > 0) || deleteLane.run(id).changes === 0) continue;
        byId.delete(id);
        byName.delete(lane);
      }
    },
    reload,
  };
}
