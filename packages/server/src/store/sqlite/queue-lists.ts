import type { DatabaseSync } from 'node:sqlite';
import type { LaneStats, RecordQuery } from '../queue.ts';
import { BOUND_LIMIT } from './bound-limit.ts';
import { PHASE } from './queue-schema.ts';
import type { Row } from './queue-rows.ts';
import type { LaneTally, QueueTally } from './queue-tally.ts';

/** Looking at many records at once. */
export interface QueueLists {
  /** `seq` of the records of a list, newest first. */
  list(query: RecordQuery): readonly number[];
  /** `seq` of at most `max` records of a namespace that are over. */
  ended(namespace: string, max: number): readonly number[];
  readonly lanes: () => readonly LaneStats[];
}

const QUEUED = [PHASE.ready, PHASE.blocked, PHASE.delayed] as const;
const ENDED = [PHASE.succeeded, PHASE.dead, PHASE.cancelled] as const;
const PHASES_OF = {
  queued: QUEUED,
  running: [PHASE.running],
  succeeded: [PHASE.succeeded],
  dead: [PHASE.dead],
  cancelled: [PHASE.cancelled],
} as const;

/** Prepares the statements; `nextOf` says when something of a lane may begin. */
export function createQueueLists(
  database: DatabaseSync,
  tally: QueueTally,
  nextOf: (lane: number) => number | undefined,
): QueueLists {
  const wanted = `seq < :beforeSeq AND accepted_at >= :sinceAt AND accepted_at < :beforeAt
    AND (:reason IS NULL OR reason = :reason) AND (:redriven IS NULL OR redriven = :redriven)
    ORDER BY seq DESC LIMIT :limit`;
  // What the index leaves out has to be said as it says it.
  const listed = 'INDEXED BY states_listed WHERE phase <> 0 AND phase <> 3';
  const ready = `INDEXED BY states_open WHERE phase = ${PHASE.ready} AND sort IS NOT NULL`;
  const selectListed = database.prepare(
    `SELECT seq FROM states ${listed} AND lane = :lane AND phase = :phase AND ${wanted}`,
  );
  const selectReady = database.prepare(
    `SELECT seq FROM states ${ready} AND lane = :lane AND sort = :sort AND ${wanted}`,
  );
  const selectRunning = database.prepare(
    `SELECT seq FROM states INDEXED BY states_open
     WHERE lane = :lane AND phase = ${PHASE.running} AND sort IS NOT NULL AND ${wanted}`,
  );
  const selectOfKey = database.prepare(
    `SELECT seq FROM states INDEXED BY states_of_key WHERE lane = :lane AND key = :key AND phase = :phase AND ${wanted}`,
  );
  const selectNextSort = database.prepare(
    `SELECT sort FROM states ${ready} AND lane = ? AND sort > ? ORDER BY sort LIMIT 1`,
  );
  const selectOldest = database.prepare(
    `SELECT seq, accepted_at FROM states ${listed} AND lane = ? AND phase = ? ORDER BY seq LIMIT 1`,
  );
  const selectOldestReady = database.prepare(
    `SELECT seq, accepted_at FROM states ${ready} AND lane = ? AND sort = ? ORDER BY seq LIMIT 1`,
  );
  const selectAny = database.prepare(`SELECT seq FROM states ${listed} AND lane = ? AND phase = ? ${BOUND_LIMIT}`);

  /** What the ready items of a lane are sorted by: minus each priority there is. */
  const sortsOf = (lane: number): readonly number[] => {
    const sorts: number[] = [];
    for (let sort = Number.MIN_SAFE_INTEGER; ;) {
      const next = selectNextSort.get(lane, sort)?.['sort'];
      if (typeof next !== 'number') return sorts;
      sorts.push((sort = next));
    }
  };

  const oldestOf = (lane: number): number | undefined => {
    const firsts = [
      ...sortsOf(lane).map((sort) => selectOldestReady.get(lane, sort)),
      ...[PHASE.blocked, PHASE.delayed].map((phase) => selectOldest.get(lane, phase)),
    ].filter((row) => row !== undefined);
    const oldest = firsts.toSorted((left, right) => Number(left['seq']) - Number(right['seq']))[0];
    return oldest && Number(oldest['accepted_at']);
  };

  /** The newest of a phase that a filter lets through. */
  const newestOf = (lane: number, phase: number, filter: Record<string, number | string | null>): readonly Row[] => {
    if (phase === PHASE.running) return selectRunning.all({ ...filter, lane });
    if (phase !== PHASE.ready) return selectListed.all({ ...filter, lane, phase });
    return sortsOf(lane).flatMap((sort) => selectReady.all({ ...filter, lane, sort }));
  };

  const statsOf = ({ id, lane, namespace, counts }: LaneTally): LaneStats => ({
    lane,
    namespace,
    queued: QUEUED.reduce<number>((sum, phase) => sum + (counts[phase] ?? 0), 0),
    running: counts[PHASE.running] ?? 0,
    oldestAt: oldestOf(id),
    nextAt: nextOf(id),
  });

  return {
    list(query) {
      const { namespace, lane, states, reason, key, redriven } = query;
      const phases: readonly number[] = states?.flatMap((state) => PHASES_OF[state]) ?? Object.values(PHASES_OF).flat();
      const lanes = [...tally.all()].filter(
        (one) => one.namespace === namespace && (lane === undefined || one.lane === lane),
      );
      const filter = {
        beforeSeq: query.beforeSeq ?? Number.MAX_SAFE_INTEGER,
        sinceAt: query.sinceAt ?? Number.MIN_SAFE_INTEGER,
        beforeAt: query.beforeAt ?? Number.MAX_SAFE_INTEGER,
        reason: reason ?? null,
        redriven: redriven === undefined ? null : Number(redriven),
        limit: query.limit,
      };
      const parts = lanes.flatMap(({ id, counts }) =>
        phases.flatMap((phase) =>
          (counts[phase] ?? 0) === 0
            ? []
            : key === undefined
              ? newestOf(id, phase, filter)
              : selectOfKey.all({ ...filter, lane: id, phase, key }),
        ),
      );
      return parts
        .map(({ seq }) => Number(seq))
        .toSorted((left, right) => right - left)
        .slice(0, query.limit);
    },

    ended(namespace, max) {
      const found: number[] = [];
      for (const { id, namespace: of, counts } of tally.all()) {
        if (of !== namespace) continue;
        for (const phase of ENDED) {
          if ((counts[phase] ?? 0) === 0) continue;
          for (const { seq } of selectAny.all(id, phase, max - found.length)) found.push(Number(seq));
        }
      }
      return found;
    },

    lanes: () => [...tally.all()].map(statsOf).filter(({ queued, running }) => queued + running > 0),
  };
}
