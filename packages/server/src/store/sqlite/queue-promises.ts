import type { DatabaseSync } from 'node:sqlite';
import type { Enqueued } from '../queue.ts';
import { BOUND_LIMIT } from './bound-limit.ts';
import type { ItemRow } from './queue-protocol.ts';

/** The idempotency keys: which item stands for a key of a lane, and until when. */
export interface Promises {
  find(lane: number, item: ItemRow): Enqueued | undefined;
  keep(lane: number, item: ItemRow): void;
  /** Removes all of a lane. */
  clear(lane: number): void;
  /** Removes at most `max` whose time is over, those first that are over longest. */
  forget(now: number, max: number): void;
}

/** Prepares the statements. */
export function createPromises(database: DatabaseSync): Promises {
  const select = database.prepare('SELECT digest, until_at, id FROM promises WHERE lane = ? AND key = ?');
  const replace = database.prepare(
    'INSERT OR REPLACE INTO promises (lane, key, digest, until_at, id) VALUES (?, ?, ?, ?, ?)',
  );
  const removeAll = database.prepare('DELETE FROM promises WHERE lane = ?');
  const remove = database.prepare(
    `DELETE FROM promises WHERE (lane, key) IN
       (SELECT promises.lane, key FROM promises JOIN lanes ON lanes.id = promises.lane
        WHERE until_at <= ? ORDER BY until_at, lanes.lane || char(0) || key ${BOUND_LIMIT})`,
  );
  return {
    find(lane, { idempotency, acceptedAt }) {
      const row = idempotency && select.get(lane, idempotency.key);
      if (!row || Number(row['until_at']) <= acceptedAt) return undefined;
      return { kind: row['digest'] === idempotency.digest ? 'duplicate' : 'mismatch', id: String(row['id']) };
    },
    keep(lane, { id, idempotency }) {
      if (idempotency) replace.run(lane, idempotency.key, idempotency.digest, idempotency.untilAt, id);
    },
    clear: (lane) => void removeAll.run(lane),
    forget: (now, max) => void remove.run(now, max),
  };
}
