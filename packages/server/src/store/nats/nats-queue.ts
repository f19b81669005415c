import { type Clock, systemClock } from '../../core/clock.ts';
import { EbbError } from '../../core/errors.ts';
import { newShortId } from '../../core/ids.ts';
import type { Logger } from '../../core/logger.ts';
import {
  cancelItem,
  extendLease,
  filesOf,
  type Held,
  holdsLease,
  isForgettable,
  isLost,
  isOpen,
  isRedrivable,
  markRedriven,
  matchesQuery,
  parseReceipt,
  reclaimAttempt,
  redriveItem,
  settleAttempt,
  withoutBodies,
} from '../fold-held.ts';
import type { Lease, Queue, QueueRecord, Settlement } from '../queue.ts';
import { nextMoment, statsOf, takeItems } from '../take-items.ts';
import { allOf } from './accept.ts';
import { openNatsStore } from './nats-store.ts';

/** How a queue on NATS is opened. */
export interface NatsQueueOptions {
  /** Addresses such as `nats://user:password@host:4222`, separated by commas. */
  readonly servers: string;
  /** Id of the installation, which names its stream and subjects. */
  readonly installation: string;
  /** How long an operation is tried while the server cannot be reached or does not answer. Default: 5 s. */
  readonly timeoutMs?: number | undefined;
  /** How often is looked whether another server wrote. Default: 500 ms. */
  readonly lookEveryMs?: number | undefined;
  readonly logger?: Logger | undefined;
  readonly clock?: Clock | undefined;
}

/** Rounds of a lease in which another server was quicker each time, after which the caller has to ask again. */
const LEASE_ROUNDS = 5;
/** Calls that are read or removed at once. */
const AT_ONCE = 128;

/**
 * Opens a queue that is kept in a JetStream stream: the newest message of each subject is the state of a call, every
 * change a compare-and-set on it. So the sequence number of the message is the fence, also against another server on
 * the same stream. What is resolved was acknowledged by NATS; whether that means on disk is up to its configuration, see
 * docs/async.md. Between servers, keys and limits hold as far as one has seen what the other wrote.
 */
export async function createNatsQueue(options: NatsQueueOptions): Promise<Queue> {
  const { clock = systemClock, timeoutMs = 5000, lookEveryMs = 500 } = options;
  const store = await openNatsStore({ ...options, clock, timeoutMs, lookEveryMs, writer: newShortId() });
  const { calls, acceptor } = store;
  const running = new Set<Promise<unknown>>();
  let isClosed = false;

  /** What every method does around its work. */
  const use = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isClosed) throw new EbbError('STORE_FAILED', 'the queue is closed because the server is stopping');
    const result = store.ready().then(work);
    running.add(result);
    try {
      return await result;
    } finally {
      running.delete(result);
    }
  };

  /** Work that queues something, for whoever has to know all that was asked for before. */
  const queueing = new Set<Promise<unknown>>();
  const whileQueueing = async <T>(work: Promise<T>): Promise<T> => {
    queueing.add(work);
    try {
      return await work;
    } finally {
      queueing.delete(work);
    }
  };

  const settle = async (settlement: Settlement): Promise<boolean> => {
    const { receipt, follow = [] } = settlement;
    const id = parseReceipt(receipt)?.id;
    if (id === undefined) return false;
    const change = await calls.inTurn(id, async () => {
      if (follow.length > 0) await store.payDebtInTurn(id);
      const settleIt = () =>
        calls.change(id, (held) =>
          holdsLease(held, receipt) ? { held: settleAttempt(held, settlement), follow } : undefined,
        );
      return (await settleIt()) ?? (isStale(id, receipt) ? undefined : await calls.refresh(id).then(settleIt));
    });
    if (change && follow.length > 0) await store.payDebt(id, change);
    return change !== undefined;
  };

  /** Whether a receipt is older than what is known here, so that nobody has to be asked. */
  const isStale = (id: string, receipt: string): boolean => {
    const parsed = parseReceipt(receipt);
    const held = store.ledger.index.get(id);
    return held !== undefined && parsed !== undefined && held.record.seq === parsed.seq && held.fence > parsed.fence;
  };

  const extend = async (receipt: string, untilAt: number): Promise<boolean> => {
    const id = parseReceipt(receipt)?.id;
    if (id === undefined) return false;
    const change = await calls.inTurn(id, () =>
      calls.change(id, (held) => (holdsLease(held, receipt) ? { held: extendLease(held, untilAt) } : undefined)),
    );
    return change !== undefined;
  };

  const redrive = async (id: string, newId: string, now: number): Promise<boolean> => {
    const change = await calls.inTurn(id, async () => {
      if (store.ledger.index.get(newId)) return undefined;
      await store.payDebtInTurn(id);
      return calls.change(
        id,
        async (held) => {
          const record = isRedrivable(held.record) ? await calls.withAccepted(held.record) : undefined;
          return record && { held: markRedriven(held, newId), follow: [redriveItem(record, newId, now)] };
        },
        { whole: true },
      );
    });
    if (change) await store.payDebt(id, change);
    return change !== undefined;
  };

  /** Forgets those for which `isOver` still holds; returns how many. */
  const forgetAll = async (over: readonly Held[], isOver: (held: Held) => boolean): Promise<number> => {
    const went = await inGroups(over, ({ record: { id } }) =>
      calls.inTurn(id, async () => {
        await store.payDebtInTurn(id);
        return calls.forget(id, isOver);
      }),
    );
    return went.filter((isGone) => isGone).length;
  };

  return {
    name: 'nats',

    enqueue: (items, limits) => whileQueueing(use(() => acceptor.accept(items, limits?.perNamespace))),

    lease: (request) =>
      use(async () => {
        const leases: Lease[] = [];
        for (let round = 0; round < LEASE_ROUNDS && leases.length === 0; round += 1) {
          const taken = takeItems(store.ledger.index, request);
          if (taken.length === 0) break;
          const results = await Promise.allSettled(
            taken.map((one) => calls.inTurn(one.before.record.id, () => calls.begin(one))),
          );
          leases.push(...results.flatMap((result) => (result.status === 'fulfilled' ? (result.value ?? []) : [])));
          const failure = results.find((result) => result.status === 'rejected');
          if (leases.length === 0 && failure) throw failure.reason;
          // Another server was quicker each time, so it has work of its own that is worth knowing.
          if (leases.length === 0) await store.catchUp();
        }
        return { leases, nextAt: nextMoment(store.ledger.index, request) };
      }),

    extend: (receipts, untilAt) => use(() => allOf(receipts.map((receipt) => extend(receipt, untilAt)))),

    settle: (settlements) =>
      use(async () => {
        if (settlements.every(({ follow }) => !follow?.length)) return allOf(settlements.map(settle));
        const results: boolean[] = [];
        for (const one of settlements) results.push(await settle(one));
        return results;
      }),

    reclaim: ({ now, owners }) =>
      use(async () => {
        const lost = [...store.ledger.index.lanes()].flatMap((lane) =>
          [...lane.running].filter((held) => isLost(held, now, owners)).map(({ record }) => record),
        );
        const lanes = await inGroups(lost, async ({ id, lane }) => {
          const change = await calls.inTurn(id, () =>
            calls.change(id, (held) => (isLost(held, now, owners) ? { held: reclaimAttempt(held, now) } : undefined)),
          );
          return change && lane;
        });
        return [...new Set(lanes.filter((lane) => lane !== undefined))];
      }),

    cancel: (id, { now, message }) =>
      use(() =>
        calls.inTurn(id, async () => {
          if (!(await calls.current(id))) await calls.refresh(id);
          const change = await calls.change(id, (held) =>
            held.record.state === 'queued' ? { held: cancelItem(held, now, message) } : undefined,
          );
          if (change) return { kind: 'cancelled' };
          const state = store.ledger.index.get(id)?.record.state;
          if (state === undefined) return { kind: 'unknown' };
          return state === 'queued' || state === 'running' ? { kind: 'running' } : { kind: 'ended', state };
        }),
      ),

    get: (id) => use(() => calls.load(id)),

    list: (query) =>
      use(async () => {
        const matching: QueueRecord[] = [];
        for (const { record } of store.ledger.index.all()) if (matchesQuery(record, query)) matching.push(record);
        const page = matching.toSorted((left, right) => right.seq - left.seq).slice(0, query.limit);
        const records = await inGroups(page, ({ id }) => calls.load(id));
        return records.flatMap((record) => (record ? withoutBodies(record) : []));
      }),

    lanes: () => use(async () => [...store.ledger.index.lanes()].map((lane) => statsOf(store.ledger.index, lane))),

    async count(namespace) {
      await Promise.allSettled(queueing);
      return use(async () => ({ ...store.ledger.index.count(namespace) }));
    },

    hasQueued: ({ namespace, name, qualifier }) =>
      use(async () =>
        [...store.ledger.index.lanes()].some(({ queued, running: busy }) =>
          [...queued, ...busy].some(
            ({ record: { target } }) =>
              target.kind === 'function' &&
              target.namespace === namespace &&
              target.name === name &&
              target.qualifier === qualifier,
          ),
        ),
      ),

    redrive: (pairs, now) =>
      whileQueueing(
        use(async () => {
          const results: boolean[] = [];
          for (const { id, newId } of pairs) results.push(await redrive(id, newId, now));
          return results;
        }),
      ),

    purge: (ids) =>
      use(() =>
        inGroups(ids, (id) =>
          calls.inTurn(id, async () => {
            await store.payDebtInTurn(id);
            return calls.forget(id, ({ record }) => record.state === 'dead');
          }),
        ),
      ),

    forget: (retention, now, max) =>
      use(async () => {
        await store.forgetKeys(({ untilAt }) => untilAt <= now, max);
        const over = [...store.ledger.index.all()]
          .filter((held) => !isOpen(held.record) && isForgettable(held, retention, now))
          .toSorted(
            ({ record: left }, { record: right }) => (left.endedAt ?? 0) - (right.endedAt ?? 0) || left.seq - right.seq,
          )
          .slice(0, max);
        const went = await forgetAll(over, (held) => isForgettable(held, retention, now));
        await store.clearGraves(max);
        return went;
      }),

    clear: (namespace, max) =>
      use(async () => {
        const over: Held[] = [];
        for (const held of store.ledger.index.all()) {
          if (over.length === max) break;
          if (held.record.namespace === namespace && !isOpen(held.record)) over.push(held);
        }
        const ids = new Set(over.map(({ record }) => record.id));
        await store.forgetKeys(({ id }) => ids.has(id), Infinity);
        return forgetAll(over, ({ record }) => !isOpen(record));
      }),

    filesInUse: (digests) =>
      use(async () => {
        const used = new Set(store.owedFiles());
        for (const { record } of store.ledger.index.all()) for (const digest of filesOf(record)) used.add(digest);
        return new Set(digests.filter((digest) => used.has(digest)));
      }),

    async [Symbol.asyncDispose]() {
      isClosed = true;
      while (running.size > 0) await Promise.allSettled(running);
      await store[Symbol.asyncDispose]();
    },
  };
}

/** Does it for all of them, not too many at once. */
async function inGroups<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < all.length; at += AT_ONCE) {
    results.push(...(await allOf(all.slice(at, at + AT_ONCE).map(work))));
  }
  return results;
}
