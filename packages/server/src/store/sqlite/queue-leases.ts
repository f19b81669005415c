import type { DatabaseSync } from 'node:sqlite';
import { beginAttempt, makeDue, receiptOf } from '../fold-held.ts';
import type { LeaseRequest } from '../queue.ts';
import { BOUND_LIMIT } from './bound-limit.ts';
import { DamageError } from './describe-failure.ts';
import type { QueueKeys } from './queue-keys.ts';
import type { LeaseRow, QueueCalls } from './queue-protocol.ts';
import type { Row, Stored } from './queue-rows.ts';

/**
 * Most items that one lease makes due, and for how many of them one is asked for at least: the rest come with the next,
 * which the answer asks for. A lease for a few is not to keep the thread, and a CPU, for long.
 */
const PROMOTED = 1000;
const PROMOTED_EACH = 16;
const PROMOTED_LEAST = 64;
/** Most items whose key turns out to hold them back that one lease or look passes by. */
const PASSED_BY = 5000;

/** Taking work out of lanes. */
export interface QueueLeases {
  lease(lane: number, request: LeaseRequest): QueueCalls['lease'][1];
  /** When something of a lane may begin: 0 for at once. */
  readonly nextOf: (lane: number) => number | undefined;
}

/** What leasing needs of the file. */
export interface QueueLeasesOptions {
  readonly database: DatabaseSync;
  readonly keys: QueueKeys;
  /** Writes the next state of an item and lets go what it held back; says whether that was anything. */
  readonly change: (before: Stored, after: Stored) => boolean;
  readonly block: (stored: Stored) => void;
  /** Reads rows, all but damaged ones. */
  readonly readSound: (rows: readonly Row[]) => readonly Stored[];
  readonly setAside: (row: Row) => void;
  readonly leaseRowOf: (stored: Stored) => LeaseRow['row'];
}

/** Prepares the statements. */
export function createQueueLeases(options: QueueLeasesOptions): QueueLeases {
  const { database, keys, change, readSound } = options;
  // Each names its index: the planner, which has no statistics, would rather sort all that waits.
  const selectReady = database.prepare(
    `SELECT * FROM states INDEXED BY states_open
     WHERE lane = ? AND phase = 0 AND sort IS NOT NULL ORDER BY sort, seq ${BOUND_LIMIT}`,
  );
  const selectDelayed = database.prepare(
    `SELECT * FROM states INDEXED BY states_open WHERE lane = ? AND phase = 2 AND sort <= ? ORDER BY sort, seq ${BOUND_LIMIT}`,
  );
  const selectMoment = database.prepare(
    'SELECT sort FROM states INDEXED BY states_open WHERE lane = ? AND phase = 2 AND sort IS NOT NULL ORDER BY sort LIMIT 1',
  );
  const selectExpired = database.prepare(
    `SELECT * FROM states INDEXED BY states_expiring
     WHERE lane = ? AND phase <= 2 AND expires_at <= ? ORDER BY expires_at, seq ${BOUND_LIMIT}`,
  );
  const selectExpiry = database.prepare(
    'SELECT expires_at FROM states INDEXED BY states_expiring WHERE lane = ? AND phase <= 2 ORDER BY expires_at LIMIT 1',
  );

  const begin = (stored: Stored, { owner, now, untilAt }: LeaseRequest) => {
    let leased: LeaseRow | undefined;
    const running = beginAttempt(stored, { owner, startedAt: now, untilAt });
    try {
      leased = { row: options.leaseRowOf(running), receipt: receiptOf(running) };
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      options.setAside({ ...keyRow(stored), phase: stored.record.phase });
    }
    return { leased, hasReleased: leased !== undefined && change(stored, running) };
  };

  const promote = (lane: number, { now, max }: LeaseRequest): void => {
    const most = Math.min(PROMOTED, Math.max(PROMOTED_LEAST, max * PROMOTED_EACH));
    for (const stored of readSound(selectDelayed.all(lane, now, most))) change(stored, makeDue(stored));
  };

  const leaseDue = (lane: number, request: LeaseRequest): LeaseRow[] => {
    const leases: LeaseRow[] = [];
    let passedBy = 0;
    promote(lane, request);
    while (leases.length < request.max && passedBy < PASSED_BY) {
      const rows = selectReady.all(lane, request.max - leases.length);
      if (rows.length === 0) break;
      for (const stored of readSound(rows)) {
        if (stored.record.rules && !keys.lets(keyRow(stored))) {
          options.block(stored);
          passedBy += 1;
          continue;
        }
        const { leased, hasReleased } = begin(stored, request);
        if (leased) leases.push(leased);
        // What was let go may come before the rest of these.
        if (hasReleased) break;
      }
    }
    return leases;
  };

  const nextOf = (lane: number): number | undefined => {
    let passedBy = 0;
    for (const row of selectReady.iterate(lane, PASSED_BY)) {
      passedBy += 1;
      if (row['key'] === null || keys.lets(row)) return 0;
    }
    if (passedBy === PASSED_BY) return 0;
    const moment = selectMoment.get(lane)?.['sort'];
    return typeof moment === 'number' ? moment : undefined;
  };

  return {
    lease(lane, request) {
      if (!request.expired) return { leases: leaseDue(lane, request), nextAt: nextOf(lane) };
      const leases = readSound(selectExpired.all(lane, request.now, request.max)).flatMap(
        (stored) => begin(stored, request).leased ?? [],
      );
      const expiry = selectExpiry.get(lane)?.['expires_at'];
      const nextAt = typeof expiry === 'number' ? expiry : undefined;
      return { leases, nextAt: nextAt !== undefined && nextAt <= request.now ? 0 : nextAt };
    },
    nextOf,
  };
}

function keyRow({ record }: Stored): Row {
  const { seq, laneId, begun, rules } = record;
  return {
    seq,
    lane: laneId,
    begun,
    key: rules?.key,
    key_order: rules?.order,
    key_concurrency: rules?.concurrency,
  };
}
