import type { AttemptResource, InvocationState } from '@ebb/contract';
import type { Lease, NewItem, QueueRecord, RecordQuery, Retention, Settlement, StoredResult } from './queue.ts';

/** The newest lease of an item that runs. */
export interface HeldLease {
  readonly owner: string;
  readonly startedAt: number;
  readonly untilAt: number;
}

/** What changes of a record, and what decides how: all that most of these functions look at. */
export type HotRecord = Pick<
  QueueRecord,
  | 'id'
  | 'seq'
  | 'state'
  | 'priority'
  | 'acceptedAt'
  | 'expiresAt'
  | 'rules'
  | 'attempts'
  | 'begun'
  | 'failures'
  | 'nextAt'
  | 'endedAt'
  | 'result'
  | 'dead'
  | 'cancelled'
>;

/**
 * A record, or the hot part of one, with what a driver keeps beside it. Every function of this file takes one and gives the next one, so that a
 * driver only finds, stores and selects.
 */
export interface Held<R extends HotRecord = QueueRecord> {
  readonly record: R;
  /** Leases of this item so far; never goes down, so that no receipt comes twice (A4). */
  readonly fence: number;
  /** Present exactly while it runs. */
  readonly lease?: HeldLease | undefined;
  /**
   * Only while queued: its moment has come. It stays so when the clock is set back; a driver makes it so with
   * {@link makeDue} when it leases from the lane.
   */
  readonly isDue: boolean;
  /** When its first attempt may begin, where it throttles its key and was not cancelled before that. */
  readonly slotAt?: number | undefined;
}

/** The items of a key that a new one has to do with. */
export interface KeyBefore {
  /** `slotAt` of the item of the same lane and key that was accepted last of those that have one. */
  readonly slotAt?: number | undefined;
}

/** What {@link acceptItem} looks at of a new item. */
export type NewHotItem = Pick<
  NewItem,
  'id' | 'priority' | 'acceptedAt' | 'runAt' | 'expiresAt' | 'rules' | 'idempotency'
>;

/** Whether a record may still change. */
export function isOpen(record: Pick<QueueRecord, 'state'>): boolean {
  return record.state === 'queued' || record.state === 'running';
}

/** Text that the holder of an attempt proves it with. */
export function receiptOf(held: Held<HotRecord>): string {
  return `${held.record.seq}.${held.fence}.${held.record.id}`;
}

/** What a receipt says; undefined for what is none. */
export function parseReceipt(
  receipt: string,
): { readonly seq: number; readonly fence: number; readonly id: string } | undefined {
  const [, seq, fence, id] = /^(\d{1,16})\.(\d{1,16})\.(.+)$/s.exec(receipt) ?? [];
  return id === undefined ? undefined : { seq: Number(seq), fence: Number(fence), id };
}

/** Whether a receipt is the newest of an item that runs (A4). */
export function holdsLease<R extends HotRecord>(held: Held<R> | undefined, receipt: string): held is Held<R> {
  return held?.lease !== undefined && held.record.state === 'running' && receiptOf(held) === receipt;
}

/** Takes in a new item: when it may begin goes by `runAt`, its debounce, and its throttle. */
export function acceptItem<Item extends NewHotItem>(item: Item, seq: number, before: KeyBefore) {
  const { idempotency: _, ...kept } = item;
  const { rules } = item;
  let nextAt = item.runAt + (rules?.debounceMs ?? 0);
  const throttles = rules !== undefined && rules.throttleMs > 0;
  if (throttles && before.slotAt !== undefined) nextAt = Math.max(nextAt, before.slotAt + rules.throttleMs);
  const state: InvocationState = 'queued';
  const attempts: readonly AttemptResource[] = [];
  return {
    record: { ...kept, seq, state, attempts, begun: 0, failures: 0, nextAt },
    fence: 0,
    isDue: nextAt <= item.acceptedAt,
    slotAt: throttles ? nextAt : undefined,
  };
}

/** Whether a new item of the same lane and key with a debounce cancels this one. */
export function isSuperseded({ record }: Held<HotRecord>): boolean {
  return record.state === 'queued' && record.begun === 0 && (record.rules?.debounceMs ?? 0) > 0;
}

/** Why an item that gave way to a newer one was cancelled. */
export function supersededBy(id: string): string {
  return `superseded by ${id}`;
}

/** Notes that the moment of a queued item has come. */
export function makeDue<R extends HotRecord>(held: Held<R>): Held<R> {
  return { ...held, isDue: true };
}

/** Begins the next attempt. */
export function beginAttempt<R extends HotRecord>(held: Held<R>, lease: HeldLease): Held<R> {
  const { record } = held;
  return {
    ...held,
    record: { ...record, state: 'running', nextAt: undefined, begun: record.begun + 1 },
    fence: held.fence + 1,
    lease,
    isDue: false,
  };
}

/** What the one who leased an item gets. */
export function leaseOf(held: Held): Lease {
  return { record: held.record, attempt: held.record.begun, receipt: receiptOf(held) };
}

/** Ends the attempt that runs; the caller has checked the receipt. */
export function settleAttempt<R extends HotRecord>(held: Held<R>, { attempt, next, now }: Settlement): Held<R> {
  const running = held.record;
  const counts = (next.kind === 'retry' || next.kind === 'dead') && next.counts;
  const record: R = {
    ...running,
    attempts: attempt ? [...running.attempts, attempt] : running.attempts,
    // One that never began is as if it had not been leased.
    begun: attempt ? running.begun : running.begun - 1,
    failures: running.failures + (counts ? 1 : 0),
  };
  if (next.kind === 'retry') return queueAgain(held, record, next.at, now);
  if (next.kind === 'cancelled') return end(held, { ...record, cancelled: next.message }, 'cancelled', now);
  const result = next.result === undefined ? {} : { result: next.result };
  if (next.kind === 'succeeded') return end(held, { ...record, ...result }, 'succeeded', now);
  return end(held, { ...record, ...result, dead: { reason: next.reason, message: next.message } }, 'dead', now);
}

/** Whether {@link reclaimAttempt} is due for what runs. */
export function isLost(held: Held<HotRecord>, now: number, owners?: readonly string[]): boolean {
  const { lease } = held;
  if (!lease) return false;
  return lease.untilAt <= now || (owners !== undefined && !owners.includes(lease.owner));
}

/** Gives up waiting for an attempt: the item is due at once, and the attempt is noted as lost. */
export function reclaimAttempt<R extends HotRecord>(held: Held<R>, now: number): Held<R> {
  const startedAt = held.lease?.startedAt ?? now;
  const attempt: AttemptResource = {
    number: held.record.begun,
    startedAt: new Date(startedAt).toISOString(),
    endedAt: new Date(Math.max(now, startedAt)).toISOString(),
    end: 'lost',
    message: 'nobody said how it ended before its lease was over',
  };
  return queueAgain(held, { ...held.record, attempts: [...held.record.attempts, attempt] }, now, now);
}

/** Cancels what is queued. */
export function cancelItem<R extends HotRecord>(held: Held<R>, now: number, message: string): Held<R> {
  return end(held, { ...held.record, cancelled: message }, 'cancelled', now);
}

/** Moves the end of the lease. */
export function extendLease<R extends HotRecord>(held: Held<R>, untilAt: number): Held<R> {
  return held.lease ? { ...held, lease: { ...held.lease, untilAt } } : held;
}

/** Whether a record can be redriven. */
export function isRedrivable(record: HotRecord): boolean {
  return record.state === 'dead' && record.dead?.redrivenAs === undefined;
}

/** The new item a dead letter is queued anew as. */
export function redriveItem(record: QueueRecord, newId: string, now: number): NewItem {
  const { namespace, lane, target, method, path, headers, body, priority, rules, callbacks } = record;
  return {
    id: newId,
    namespace,
    lane,
    target,
    method,
    path,
    headers,
    body,
    priority,
    acceptedAt: now,
    runAt: now,
    expiresAt: now + (record.expiresAt - record.acceptedAt),
    ...(rules && { rules }),
    ...(callbacks && { callbacks }),
    origin: {
      kind: 'redrive',
      of: record.id,
      ...(target.kind === 'url' && { first: record.origin?.first ?? record.id }),
    },
  };
}

/** Notes as what a dead letter was redriven. */
export function markRedriven<R extends HotRecord>(held: Held<R>, newId: string): Held<R> {
  const { dead } = held.record;
  return dead ? { ...held, record: { ...held.record, dead: { ...dead, redrivenAs: newId } } } : held;
}

/**
 * Whether a record is over and may be forgotten. One that bounds when the next of its key may begin is kept until it
 * does so no more.
 */
export function isForgettable(held: Held<HotRecord>, retention: Retention, now: number): boolean {
  const { state, endedAt, rules } = held.record;
  if (endedAt === undefined || isOpen(held.record)) return false;
  const before = {
    succeeded: retention.succeededBefore,
    cancelled: retention.cancelledBefore,
    dead: retention.deadBefore,
    queued: 0,
    running: 0,
  }[state];
  return endedAt < before && (held.slotAt === undefined || held.slotAt + (rules?.throttleMs ?? 0) <= now);
}

/** Whether a record belongs into a list; `limit` is the driver's. */
export function matchesQuery(record: QueueRecord, query: RecordQuery): boolean {
  return (
    record.namespace === query.namespace &&
    (query.lane === undefined || record.lane === query.lane) &&
    (query.states === undefined || query.states.includes(record.state)) &&
    (query.redriven === undefined ||
      (record.dead !== undefined && (record.dead.redrivenAs !== undefined) === query.redriven)) &&
    (query.reason === undefined || record.dead?.reason === query.reason) &&
    (query.key === undefined || record.rules?.key === query.key) &&
    (query.sinceAt === undefined || record.acceptedAt >= query.sinceAt) &&
    (query.beforeAt === undefined || record.acceptedAt < query.beforeAt) &&
    (query.beforeSeq === undefined || record.seq < query.beforeSeq)
  );
}

/** A record as it is listed: without what is kept in it of the bodies of the call and its answer. */
export function withoutBodies(record: QueueRecord): QueueRecord {
  const { body, result } = record;
  return {
    ...record,
    ...(body.kind === 'bytes' && { body: { kind: 'none' } }),
    ...(result?.body.kind === 'bytes' && { result: { ...result, body: { kind: 'none' } } satisfies StoredResult }),
  };
}

/** The files that a record refers to, by digest. */
export function filesOf({ body, result }: Pick<QueueRecord, 'body' | 'result'>): readonly string[] {
  const bodies = result ? [body, result.body] : [body];
  return bodies.flatMap((one) => (one.kind === 'file' ? [one.digest] : []));
}

function queueAgain<R extends HotRecord>(held: Held<R>, record: R, at: number, now: number): Held<R> {
  return { ...held, record: { ...record, state: 'queued', nextAt: at }, lease: undefined, isDue: at <= now };
}

function end<R extends HotRecord>(held: Held<R>, record: R, state: InvocationState, now: number): Held<R> {
  // One that was cancelled before it began bounds nobody.
  const keepsSlot = state !== 'cancelled' || record.begun > 0;
  return {
    ...held,
    record: { ...record, state, nextAt: undefined, endedAt: now },
    lease: undefined,
    isDue: false,
    slotAt: keepsSlot ? held.slotAt : undefined,
  };
}
