import type { DatabaseSync } from 'node:sqlite';
import {
  acceptItem,
  cancelItem,
  extendLease,
  holdsLease,
  isLost,
  isRedrivable,
  isSuperseded,
  markRedriven,
  parseReceipt,
  reclaimAttempt,
  redriveItem,
  settleAttempt,
  supersededBy,
} from '../fold-held.ts';
import type { Enqueued } from '../queue.ts';
import { BOUND_LIMIT } from './bound-limit.ts';
import { DamageError } from './describe-failure.ts';
import type { FileConnection, FileFormat } from './open-file.ts';
import { asItemRow, asRecord, pinOf } from './queue-codec.ts';
import { createQueueKeys } from './queue-keys.ts';
import { createQueueLeases } from './queue-leases.ts';
import { createQueueLists } from './queue-lists.ts';
import { createPromises } from './queue-promises.ts';
import type { ItemRow, QueueCalls, QueueOperation, QueueResult, RecordRow } from './queue-protocol.ts';
import { PHASE, type Phase, QUEUE_SCHEMA } from './queue-schema.ts';
import { phaseOf, type Row, type Stored } from './queue-rows.ts';
import { createQueueTables } from './queue-tables.ts';
import { createQueueTally } from './queue-tally.ts';
import { unpackOperations, type WireOperation } from './queue-wire.ts';

const READS: ReadonlySet<QueueOperation['kind']> = new Set([
  'get',
  'list',
  'lanes',
  'count',
  'hasQueued',
  'filesInUse',
] as const);

/** The file of a durable queue. */
export const QUEUE_FILE: FileFormat<QueueOperation, QueueResult, WireOperation> = {
  schema: QUEUE_SCHEMA,
  // Pages that several calls fit in; a cache that is bounded however many wait (32 MiB); and a log that is written back
  // often, 4 MiB at a time, as the calls that come meanwhile wait for it.
  pragmas: 'PRAGMA page_size = 8192; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 500',
  unpack: unpackOperations,
  isWrite: ({ kind }) => !READS.has(kind),
  connect,
};

type Methods = { readonly [Kind in keyof QueueCalls]: (ask: QueueCalls[Kind][0]) => QueueCalls[Kind][1] };

function connect(database: DatabaseSync): FileConnection<QueueOperation, QueueResult> {
  const tally = createQueueTally(database);
  const tables = createQueueTables(database);
  const promises = createPromises(database);
  const selectNewest = database.prepare('SELECT max(seq) AS seq FROM states');
  const selectSlot = database.prepare(
    'SELECT slot_at FROM states WHERE lane = ? AND key = ? AND slot_at IS NOT NULL ORDER BY seq DESC LIMIT 1',
  );
  const selectUnbegun = database.prepare(
    'SELECT * FROM states WHERE lane = ? AND key = ? AND key_phase = 0 AND debounce_ms > 0',
  );
  const selectRunning = database.prepare('SELECT * FROM states WHERE lane = ? AND phase = 3 AND sort IS NOT NULL');
  const selectPinned = database.prepare('SELECT 1 FROM states WHERE pin = ? AND sort IS NOT NULL LIMIT 1');
  const selectUnpinned = database.prepare(
    `SELECT items.content FROM states INDEXED BY states_open JOIN items USING (seq)
     WHERE lane = ? AND phase = ? AND sort IS NOT NULL AND pin IS NULL`,
  );
  const selectOver = database.prepare(
    `SELECT * FROM states WHERE phase = ? AND ended_at IS NOT NULL AND ended_at < ?
       AND (slot_at IS NULL OR slot_at + throttle_ms <= ?) ORDER BY ended_at, seq ${BOUND_LIMIT}`,
  );
  const selectFile = database.prepare('SELECT 1 FROM files WHERE digest = ? LIMIT 1');
  const newest = (): number => Number(selectNewest.get()?.['seq'] ?? 0);
  let lastSeq = newest();

  const keys = createQueueKeys(database, tables, (lane) => tally.move(lane, PHASE.blocked, PHASE.ready));

  const block = ({ record }: Stored): void => {
    tables.block(record.seq, true);
    tally.move(record.laneId, PHASE.ready, PHASE.blocked);
  };

  /** Writes what became of an item, and lets go what it held back. */
  const change = (before: Stored, after: Stored): boolean => {
    const { seq, laneId, phase, rules } = before.record;
    // A change of another of its key can have let it go since it was read.
    const old = phase === PHASE.blocked ? tables.phaseOf(seq) : phase;
    tables.update(before, after);
    const next = phaseOf(after);
    tally.move(laneId, old, next);
    if (!rules) return false;
    // Whether its own key lets it begin is worked out with the others of the key.
    if (next === PHASE.ready) block(after);
    return keys.release(laneId, rules.key);
  };

  const setAside = (row: Row): void => {
    tables.setAside(Number(row['seq']));
    tally.move(Number(row['lane']), Number(row['phase']) as Phase, PHASE.damaged);
    // Those behind it in its key wait for it no more.
    if (typeof row['key'] === 'string') keys.release(Number(row['lane']), row['key']);
  };

  /** Reads rows; those that are damaged are set aside, so that the others go on (fault case 10). */
  const readSound = (rows: readonly Row[]): Stored[] =>
    rows.flatMap((row) => {
      try {
        return [tables.read(row)];
      } catch (error) {
        if (!(error instanceof DamageError)) throw error;
        setAside(row);
        return [];
      }
    });

  const drop = (stored: Stored): void => {
    tables.drop(stored);
    tally.move(stored.record.laneId, stored.record.phase, undefined);
  };

  /** Everything of a record, or without the body of its call. */
  const rowOf = (stored: Stored, withBody = true): RecordRow => {
    const { laneId, phase: _phase, pin: _pin, ...hot } = stored.record;
    const { lane, namespace } = tally.byId(laneId);
    const body = withBody ? tables.bodyOf(stored) : undefined;
    return { hot, lane, namespace, content: tables.contentOf(stored), body };
  };

  /** A record as it is listed; nothing for one that is damaged, which only asking for it tells. */
  const listed = (seq: number): RecordRow[] => {
    try {
      const stored = tables.bySeq(seq);
      return stored ? [rowOf(stored, false)] : [];
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      return [];
    }
  };

  const leases = createQueueLeases({ database, keys, change, block, readSound, setAside, leaseRowOf: rowOf });
  const lists = createQueueLists(database, tally, leases.nextOf);

  const supersede = (lane: number, key: string, item: ItemRow): void => {
    for (const older of readSound(selectUnbegun.all(lane, key))) {
      if (isSuperseded(older)) change(older, cancelItem(older, item.acceptedAt, supersededBy(item.id)));
    }
  };

  const accept = (item: ItemRow, mostOpen = Infinity): Enqueued | null => {
    const { id, priority, acceptedAt, runAt, expiresAt, rules, idempotency, pin } = item;
    // Without these nothing is touched before it is found out while writing.
    if ((rules ?? idempotency) && tables.has(id)) return null;
    const known = tally.byName(item.lane);
    const earlier = known && promises.find(known.id, item);
    if (earlier) return earlier;
    if (tally.openIn(item.namespace) >= mostOpen) return tables.has(id) ? null : { kind: 'full' };

    const { id: laneId } = known ?? tally.ensure(item.lane, item.namespace);
    if (rules && rules.debounceMs > 0) supersede(laneId, rules.key, item);
    const slotAt = rules && rules.throttleMs > 0 ? selectSlot.get(laneId, rules.key)?.['slot_at'] : undefined;
    const held: Stored = acceptItem(
      {
        id,
        priority,
        acceptedAt,
        runAt,
        expiresAt,
        rules,
        laneId,
        pin,
        phase: PHASE.ready,
      },
      lastSeq + 1,
      { slotAt: typeof slotAt === 'number' ? slotAt : undefined },
    );
    if (!tables.insert(held, item)) return null;
    lastSeq += 1;
    const phase = phaseOf(held);
    tally.move(laneId, undefined, phase);
    if (rules && phase === PHASE.ready) {
      block(held);
      keys.release(laneId, rules.key);
    }
    promises.keep(laneId, item);
    return null;
  };

  const heldBy = (receipt: string): Stored | undefined => {
    const seq = parseReceipt(receipt)?.seq;
    const stored = seq === undefined ? undefined : tables.bySeq(seq);
    return holdsLease(stored, receipt) ? stored : undefined;
  };

  const methods: Methods = {
    enqueue({ rows, perNamespace }) {
      const results = rows.map((row) => accept(row, perNamespace));
      return results.every((result) => result === null) ? null : results;
    },

    lease(request) {
      const lane = tally.byName(request.lane);
      return lane ? leases.lease(lane.id, request) : { leases: [], nextAt: undefined };
    },

    extend: ({ receipts, untilAt }) =>
      receipts.map((receipt) => {
        const stored = heldBy(receipt);
        if (stored) tables.update(stored, extendLease(stored, untilAt));
        return stored !== undefined;
      }),

    settle: ({ settlements }) =>
      settlements.map((settlement) => {
        const stored = heldBy(settlement.receipt);
        if (!stored) return false;
        const { follow, ...rest } = settlement;
        change(stored, settleAttempt(stored, rest));
        for (const item of follow) accept(item);
        return true;
      }),

    reclaim({ now, owners }) {
      const lanes = new Set<string>();
      for (const { id, lane, counts } of tally.all()) {
        if ((counts[PHASE.running] ?? 0) === 0) continue;
        const lost = readSound(selectRunning.all(id)).filter((stored) => isLost(stored, now, owners));
        for (const stored of lost) change(stored, reclaimAttempt(stored, now));
        if (lost.length > 0) lanes.add(lane);
      }
      return [...lanes];
    },

    cancel({ id, now, message }) {
      const stored = tables.byId(id);
      if (!stored) return { kind: 'unknown' };
      const { state } = stored.record;
      if (state === 'running') return { kind: 'running' };
      if (state !== 'queued') return { kind: 'ended', state };
      change(stored, cancelItem(stored, now, message));
      return { kind: 'cancelled' };
    },

    get({ id }) {
      const stored = tables.byId(id);
      return stored && rowOf(stored);
    },

    list: (query) => lists.list(query).flatMap(listed),

    lanes: lists.lanes,

    count({ namespace }) {
      const counts = { queued: 0, running: 0, succeeded: 0, dead: 0, cancelled: 0 };
      for (const lane of tally.all()) {
        if (lane.namespace !== namespace) continue;
        const [ready = 0, blocked = 0, delayed = 0, running = 0, succeeded = 0, dead = 0, cancelled = 0] = lane.counts;
        counts.queued += ready + blocked + delayed;
        counts.running += running;
        counts.succeeded += succeeded;
        counts.dead += dead;
        counts.cancelled += cancelled;
      }
      return counts;
    },

    hasQueued({ namespace, name, qualifier }) {
      const target = { kind: 'function', namespace, name, qualifier } as const;
      const pin = pinOf(target);
      if (pin !== undefined) return selectPinned.get(pin) !== undefined;
      for (const lane of tally.all()) {
        if (lane.namespace !== namespace) continue;
        for (let phase = PHASE.ready; phase <= PHASE.running; phase += 1) {
          for (const { content } of selectUnpinned.iterate(lane.id, phase)) {
            const { target: there } = JSON.parse(String(content)) as { target: typeof target };
            if (there.kind === 'function' && there.namespace === namespace && there.name === name) return true;
          }
        }
      }
      return false;
    },

    redrive: ({ pairs, now }) =>
      pairs.map(({ id, newId }) => {
        const stored = tables.byId(id);
        if (!stored || !isRedrivable(stored.record) || tables.has(newId)) return false;
        const item = redriveItem(asRecord(rowOf(stored)), newId, now);
        change(stored, markRedriven(stored, newId));
        accept(asItemRow(item));
        return true;
      }),

    purge: ({ ids }) =>
      ids.map((id) => {
        const stored = tables.byId(id);
        const isDead = stored?.record.state === 'dead';
        if (isDead) drop(stored);
        return isDead;
      }),

    forget({ retention, now, max }) {
      promises.forget(now, max);
      const { succeededBefore, cancelledBefore, deadBefore } = retention;
      const over = readSound([
        ...selectOver.all(PHASE.succeeded, succeededBefore, now, max),
        ...selectOver.all(PHASE.cancelled, cancelledBefore, now, max),
        ...selectOver.all(PHASE.dead, deadBefore, now, max),
      ])
        .toSorted((left, right) => {
          const [one, other] = [left.record, right.record];
          return (one.endedAt ?? 0) - (other.endedAt ?? 0) || one.seq - other.seq;
        })
        .slice(0, max);
      for (const stored of over) drop(stored);
      tally.prune();
      return over.length;
    },

    clear({ namespace, max }) {
      const over = lists.ended(namespace, max).map((seq) => tables.bySeq(seq));
      for (const stored of over) if (stored) drop(stored);
      if (over.length < max) for (const lane of tally.all()) if (lane.namespace === namespace) promises.clear(lane.id);
      tally.prune();
      return over.length;
    },

    filesInUse: ({ digests }) => digests.filter((digest) => selectFile.get(digest) !== undefined),
  };

  return {
    perform: <Kind extends QueueOperation['kind']>(operation: {
      readonly kind: Kind;
      readonly ask: QueueCalls[Kind][0];
    }) => methods[operation.kind](operation.ask),
    rolledBack() {
      tally.reload();
      lastSeq = newest();
    },
  };
}
