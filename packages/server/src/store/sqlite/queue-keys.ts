import type { DatabaseSync } from 'node:sqlite';
import { type KeyLoad, mayBegin } from '../decide-key.ts';
import { BOUND_LIMIT } from './bound-limit.ts';
import { type Row, rulesOf } from './queue-rows.ts';
import type { QueueTables } from './queue-tables.ts';
import { PHASE } from './queue-schema.ts';

/** How many of a key are looked at after each change of it; others come in their turn, at the next one. */
const LOOKED_AT = 32;

/** What keys hold back. */
export interface QueueKeys {
  /** Whether its key lets an item begin that is due; `row` has its rules, `seq` and `begun`. */
  lets(row: Row): boolean;
  /** Makes ready what a change of a key lets go. Returns whether that is anything. */
  release(lane: number, key: string): boolean;
}

/** Prepares the statements; `onReady` is told of the lane of each item that was let go. */
export function createQueueKeys(
  database: DatabaseSync,
  tables: QueueTables,
  onReady: (lane: number) => void,
): QueueKeys {
  const countInPhase = database.prepare(
    'SELECT count(*) AS items FROM states WHERE lane = ? AND key = ? AND key_phase = ?',
  );
  const columns = 'seq, lane, phase, sort, begun, key, key_order, key_concurrency';
  const selectFirst = database.prepare(
    `SELECT ${columns} FROM states WHERE lane = ? AND key = ? AND key_phase = 0 ORDER BY seq LIMIT 1`,
  );
  const selectFree = database.prepare(
    `SELECT ${columns} FROM states INDEXED BY states_blocked
     WHERE lane = ? AND key = ? AND phase = 1 AND (key_order = 'none' OR key_phase = 1) ORDER BY sort, seq ${BOUND_LIMIT}`,
  );

  /** Asks only what the rules of an item ask for: `running` can be many where nothing limits them. */
  const loadOf = (lane: number, key: string, released = 0): KeyLoad => ({
    get running() {
      return Number(countInPhase.get(lane, key, 2)?.['items']) + released;
    },
    get retrying() {
      return Number(countInPhase.get(lane, key, 1)?.['items']);
    },
    get firstUnbegun() {
      const seq = selectFirst.get(lane, key)?.['seq'];
      return typeof seq === 'number' ? seq : undefined;
    },
  });

  const letsBegin = (row: Row, load: KeyLoad): boolean =>
    mayBegin({ seq: Number(row['seq']), begun: Number(row['begun']), rules: rulesOf(row) }, load);

  return {
    lets: (row) => letsBegin(row, loadOf(Number(row['lane']), String(row['key']))),

    release(lane, key) {
      let released = 0;
      const first = selectFirst.get(lane, key);
      const candidates = [
        ...(first?.['phase'] === PHASE.blocked && first['key_order'] !== 'none' ? [first] : []),
        ...selectFree.all(lane, key, LOOKED_AT),
        // As they are leased, so that room for one goes to the one whose turn it is.
      ].toSorted(byRank);
      for (const row of candidates) {
        if (!letsBegin(row, loadOf(lane, key, released))) continue;
        tables.block(Number(row['seq']), false);
        onReady(lane);
        released += 1;
      }
      return released > 0;
    },
  };
}

function byRank(left: Row, right: Row): number {
  return Number(left['sort']) - Number(right['sort']) || Number(left['seq']) - Number(right['seq']);
}
