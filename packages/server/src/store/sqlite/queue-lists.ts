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
  const wanted = `phase = :phase AND seq < :beforeSeq AND accepted_at >= :sinceAt AND accepted_at < :beforeAt
    AND (:reason IS NULL OR reason = :reason) AND (:redriven IS NULL OR redriven = :redriven)
    ORDER BY seq DESC LIMIT :limit`;
  const selectListed = database.prepare(
    `SELECT seq FROM states INDEXED BY states_listed WHERE lane = :lane AND ${wanted}`,
  );
  const selectOfKey = database.prepare(
    `SELECT seq FROM states INDEXED BY states_of_key WHERE lane = :lane AND key = :key AND ${wanted}`,
  );
  const selectOldest = database.prepare(
    'SELECT seq, accepted_at FROM states INDEXED BY states_listed WHERE lane = ? AND phase = ? ORDER BY seq LIMIT 1',
  );

  const selectAny = database.prepare(
    `SELECT seq FROM states INDEXED BY states_listed WHERE lane = ? AND phase = ? ${BOUND_LIMIT}`,
  );

  const oldestOf = (lane: number): number | undefined => {
    let oldest: Row | undefined;
    for (const phase of QUEUED) {
      const first = selectOldest.get(lane, phase);
      if (first && (!oldest || Number(first['seq']) < Number(oldest['seq']))) oldest = first;
    }
    return oldest && Number(oldest['accepted_at']);
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
              ? selectListed.all({ ...filter, lane: id, phase })
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
