import { EbbError } from '../../core/errors.ts';
import {
  acceptItem,
  cancelItem,
  extendLease,
  filesOf,
  type Held,
  holdsLease,
  isForgettable,
  isLost,
  isOpen,
  isRedrivable,
  isSuperseded,
  leaseOf,
  markRedriven,
  matchesQuery,
  parseReceipt,
  reclaimAttempt,
  redriveItem,
  settleAttempt,
  supersededBy,
  withoutBodies,
} from '../fold-held.ts';
import type { Enqueued, Idempotency, NewItem, Queue } from '../queue.ts';
import { createQueueIndex } from '../queue-index.ts';
import { nextMoment, statsOf, takeItems } from '../take-items.ts';

/** A queue that lives as long as the process: for tests, and as the oracle of the other drivers. */
export function createMemoryQueue(): Queue {
  const index = createQueueIndex();
  const promises = createPromises();
  let lastSeq = 0;
  let isClosed = false;

  /** What every method does first. */
  const use = (): void => {
    if (isClosed) throw new EbbError('STORE_FAILED', 'the queue is closed because the server is stopping');
  };

  const held = (receipt: string): Held | undefined => {
    const item = index.get(parseReceipt(receipt)?.id ?? '');
    return holdsLease(item, receipt) ? item : undefined;
  };

  const accept = (item: NewItem, mostOpen = Infinity): Enqueued => {
    if (index.get(item.id)) return { kind: 'accepted', id: item.id };
    const earlier = promises.find(item);
    if (earlier) return earlier;
    const { queued, running } = index.count(item.namespace);
    if (queued + running >= mostOpen) return { kind: 'full' };

    const { rules } = item;
    if (rules && rules.debounceMs > 0) {
      const waiting = [...(index.key(item.lane, rules.key)?.unbegun ?? [])].filter(isSuperseded);
      for (const older of waiting) index.put(cancelItem(older, item.acceptedAt, supersededBy(item.id)));
    }
    const slotAt = rules && index.key(item.lane, rules.key)?.slots.last()?.slotAt;
    lastSeq += 1;
    index.put(acceptItem(item, lastSeq, { slotAt }));
    promises.keep(item);
    return { kind: 'accepted', id: item.id };
  };

  return {
    name: 'memory',

    async enqueue(items, limits) {
      use();
      return items.map((item) => accept(item, limits?.perNamespace));
    },

    async lease(request) {
      use();
      const leases = takeItems(index, request).map(({ running }) => leaseOf(running));
      return { leases, nextAt: nextMoment(index, request) };
    },

    async extend(receipts, untilAt) {
      use();
      return receipts.map((receipt) => {
        const item = held(receipt);
        if (item) index.put(extendLease(item, untilAt));
        return item !== undefined;
      });
    },

    async settle(settlements) {
      use();
      return settlements.map((settlement) => {
        const item = held(settlement.receipt);
        if (!item) return false;
        index.put(settleAttempt(item, settlement));
        for (const follower of settlement.follow ?? []) accept(follower);
        return true;
      });
    },

    async reclaim({ now, owners }) {
      use();
      const lost = [...index.lanes()]
        .flatMap(({ running }) => [...running])
        .filter((item) => isLost(item, now, owners));
      for (const item of lost) index.put(reclaimAttempt(item, now));
      return [...new Set(lost.map(({ record }) => record.lane))];
    },

    async cancel(id, { now, message }) {
      use();
      const item = index.get(id);
      if (!item) return { kind: 'unknown' };
      const { state } = item.record;
      if (state === 'running') return { kind: 'running' };
      if (state !== 'queued') return { kind: 'ended', state };
      index.put(cancelItem(item, now, message));
      return { kind: 'cancelled' };
    },

    async get(id) {
      use();
      return index.get(id)?.record;
    },

    async list(query) {
      use();
      return [...index.all()]
        .map(({ record }) => record)
        .filter((record) => matchesQuery(record, query))
        .reverse()
        .slice(0, query.limit)
        .map(withoutBodies);
    },

    async lanes() {
      use();
      return [...index.lanes()].map((lane) => statsOf(index, lane));
    },

    async count(namespace) {
      use();
      return { ...index.count(namespace) };
    },

    async hasQueued(target) {
      use();
      return [...index.lanes()].some(({ queued, running }) =>
        [...queued, ...running].some(
          ({ record }) =>
            record.target.kind === 'function' &&
            record.target.namespace === target.namespace &&
            record.target.name === target.name &&
            record.target.qualifier === target.qualifier,
        ),
      );
    },

    async redrive(pairs, now) {
      use();
      return pairs.map(({ id, newId }) => {
        const item = index.get(id);
        if (!item || !isRedrivable(item.record) || index.get(newId)) return false;
        index.put(markRedriven(item, newId));
        accept(redriveItem(item.record, newId, now));
        return true;
      });
    },

    async purge(ids) {
      use();
      return ids.map((id) => {
        const isDead = index.get(id)?.record.state === 'dead';
        if (isDead) index.drop(id);
        return isDead;
      });
    },

    async forget(retention, now, max) {
      use();
      promises.forget(now, max);
      const over = [...index.all()]
        .filter((item) => !isOpen(item.record) && isForgettable(item, retention, now))
        .toSorted(
          ({ record: left }, { record: right }) => (left.endedAt ?? 0) - (right.endedAt ?? 0) || left.seq - right.seq,
        )
        .slice(0, max);
      for (const { record } of over) index.drop(record.id);
      return over.length;
    },

    async clear(namespace, max) {
      use();
      const over = [...index.all()]
        .filter(({ record }) => record.namespace === namespace && !isOpen(record))
        .slice(0, max);
      for (const { record } of over) index.drop(record.id);
      if (over.length < max) promises.clear(namespace);
      return over.length;
    },

    async filesInUse(digests) {
      use();
      const used = new Set([...index.all()].flatMap(({ record }) => filesOf(record)));
      return new Set(digests.filter((digest) => used.has(digest)));
    },

    async [Symbol.asyncDispose]() {
      isClosed = true;
    },
  };
}

interface Promised extends Idempotency {
  readonly namespace: string;
  readonly id: string;
}

/** The idempotency keys: which item stands for a key of a lane, and until when. */
function createPromises() {
  const promised = new Map<string, Promised>();
  const nameOf = (lane: string, key: string): string => `${lane}\0${key}`;
  return {
    find({ lane, idempotency, acceptedAt }: NewItem): Enqueued | undefined {
      const earlier = idempotency && promised.get(nameOf(lane, idempotency.key));
      if (!earlier || earlier.untilAt <= acceptedAt) return undefined;
      return { kind: earlier.digest === idempotency.digest ? 'duplicate' : 'mismatch', id: earlier.id };
    },
    keep({ namespace, lane, id, idempotency }: NewItem): void {
      if (idempotency) promised.set(nameOf(lane, idempotency.key), { ...idempotency, namespace, id });
    },
    clear(namespace: string): void {
      for (const [name, one] of promised) if (one.namespace === namespace) promised.delete(name);
    },
    forget(now: number, max: number): void {
      const over = [...promised].filter(([, { untilAt }]) => untilAt <= now);
      over.sort(
        ([leftName, left], [rightName, right]) => left.untilAt - right.untilAt || (leftName < rightName ? -1 : 1),
      );
      for (const [name] of over.slice(0, max)) promised.delete(name);
    },
  };
}
