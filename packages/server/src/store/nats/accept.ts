import { acceptItem, cancelItem, type Held, isSuperseded, supersededBy } from '../fold-held.ts';
import type { Enqueued, NewItem } from '../queue.ts';
import type { Calls } from './calls.ts';
import { encodeItem } from './encode-held.ts';
import type { Journal } from './journal.ts';
import type { Ledger, Promised } from './ledger.ts';
import type { Serial } from './serial.ts';
import type { Space } from './space.ts';
import type { Subjects } from './subjects.ts';

/** Queues items. */
export interface Acceptor {
  /** Each by itself; `mostOpen` is how many a namespace may have queued and running. Nothing follows from a rejection. */
  accept(items: readonly NewItem[], mostOpen?: number): Promise<readonly Enqueued[]>;
  /** Ends what somebody died over: keys whose call is written, and calls that should have given way to newer ones. */
  finish(): Promise<void>;
  /** Notes of keys that their call is written, where that failed before. */
  confirmRest(): Promise<void>;
}

/** What an {@link Acceptor} shares with the rest of a queue. */
export interface AcceptorParts {
  readonly calls: Calls;
  readonly serial: Serial;
  readonly subjects: Subjects;
  readonly space: Space;
}

/** Makes what queues items in a journal. */
export function createAcceptor(
  journal: Journal,
  ledger: Ledger,
  { calls, serial, subjects, space }: AcceptorParts,
): Acceptor {
  /** Keys that it could not be noted of that their call is written. */
  const unconfirmed = new Set<string>();
  /** Items of a namespace that are on their way. */
  const coming = new Map<string, number>();

  const isFull = (namespace: string, mostOpen: number): boolean => {
    const { queued, running } = ledger.index.count(namespace);
    return queued + running + (coming.get(namespace) ?? 0) >= mostOpen;
  };

  /** Writes an item that may be written; `accepted` also where somebody wrote it before. */
  const write = async (item: NewItem): Promise<Enqueued> => {
    const { namespace, id } = item;
    coming.set(namespace, (coming.get(namespace) ?? 0) + 1);
    try {
      const held = acceptItem(item, 0, { slotAt: slotBefore(ledger, item) });
      const message = encodeItem(held);
      space.take(message.head.length + message.body.length);
      for (;;) {
        const written = await journal.write(subjects.item(id), message, 0);
        if (written.kind === 'written') {
          add(held, written.seq);
          break;
        }
        if (await calls.refresh(id)) break;
        // What is left of a call that was forgotten under this id.
        if (written.found) await journal.remove(written.found.seq);
      }
    } finally {
      const left = (coming.get(namespace) ?? 1) - 1;
      if (left > 0) coming.set(namespace, left);
      else coming.delete(namespace);
    }
    if (item.rules && item.rules.debounceMs > 0) await cancelSuperseded(item.lane, item.rules.key);
    return { kind: 'accepted', id };
  };

  const add = (held: Held, seq: number): void => {
    const { id } = held.record;
    if ((ledger.mark(id)?.itemSeq ?? 0) >= seq) return;
    // The newest state there is, if any, is of a call that had this id before.
    const stateSeq = ledger.graves().get(id)?.seq ?? 0;
    ledger.put({ ...held, record: { ...held.record, seq } }, { itemSeq: seq, stateSeq, isComplete: true });
  };

  /** Of items of a key that have a debounce and did not begin only the newest stays. */
  const cancelSuperseded = async (lane: string, key: string): Promise<void> => {
    const waiting = [...(ledger.index.key(lane, key)?.unbegun ?? [])].filter(isSuperseded);
    const newest = waiting.pop()?.record;
    for (const { record } of newest ? waiting : []) {
      await calls.inTurn(record.id, () =>
        calls.change(record.id, (held) =>
          isSuperseded(held) && newest
            ? { held: cancelItem(held, newest.acceptedAt, supersededBy(newest.id)) }
            : undefined,
        ),
      );
    }
  };

  /** Queues an item under its idempotency key, whose turn it has. */
  const acceptOnce = async (item: NewItem, idempotency: NonNullable<NewItem['idempotency']>, mostOpen: number) => {
    const subject = subjects.key(item.lane, idempotency.key);
    for (;;) {
      if (ledger.index.get(item.id)) return { kind: 'accepted', id: item.id } as const;
      const known = ledger.keys.get(subject);
      if (known && known.promised.untilAt > item.acceptedAt) return answerFor(item, idempotency.digest, known);
      if (isFull(item.namespace, mostOpen)) return { kind: 'full' } as const;
      const promised: Promised = { ...idempotencyOf(item, idempotency), isPending: true };
      const written = await journal.write(subject, encodeKey(promised), known?.seq ?? 0);
      if (written.kind === 'written') {
        ledger.keys.set(subject, { seq: written.seq, promised });
        const accepted = await write(item);
        await confirm(subject);
        return accepted;
      }
      if (written.found) ledger.apply({ ...written.found, subject });
      else ledger.keys.delete(subject);
    }
  };

  const answerFor = async (
    item: NewItem,
    digest: string,
    { promised }: { readonly promised: Promised },
  ): Promise<Enqueued> => {
    const { id } = promised;
    if (promised.digest !== digest) return { kind: 'mismatch', id };
    if (promised.isPending) {
      // Whoever took the key may have died before it wrote the call; the same call is at hand.
      await write({ ...item, id });
      await confirm(subjects.key(item.lane, item.idempotency?.key ?? ''));
    }
    return { kind: 'duplicate', id };
  };

  /** Notes that the call of a key is written, so that it is not written again once it is forgotten. */
  const confirm = async (subject: string): Promise<void> => {
    const known = ledger.keys.get(subject);
    if (!known?.promised.isPending) return;
    const promised = { ...known.promised, isPending: false };
    unconfirmed.add(subject);
    const written = await journal.write(subject, encodeKey(promised), known.seq);
    unconfirmed.delete(subject);
    if (written.kind === 'written') ledger.keys.set(subject, { seq: written.seq, promised });
    else if (written.found) ledger.apply({ ...written.found, subject });
  };

  const acceptOne = (item: NewItem, mostOpen: number): Promise<Enqueued> => {
    const { id, idempotency, rules, lane } = item;
    const accept = async (): Promise<Enqueued> => {
      if (ledger.index.get(id)) return { kind: 'accepted', id };
      if (idempotency) {
        return serial.run(`once ${lane}\0${idempotency.key}`, () => acceptOnce(item, idempotency, mostOpen));
      }
      return isFull(item.namespace, mostOpen) ? { kind: 'full' } : write(item);
    };
    const looksAtOthers = rules && rules.throttleMs + rules.debounceMs > 0;
    return looksAtOthers ? serial.run(`key ${lane}\0${rules.key}`, accept) : accept();
  };

  return {
    async accept(items, mostOpen = Infinity) {
      const isPlain = items.every(({ idempotency, rules }) => !idempotency && !rules?.throttleMs && !rules?.debounceMs);
      // Of two under one id the second is the first, and takes no place of its own.
      const isDistinct = new Set(items.map(({ id }) => id)).size === items.length;
      if (isPlain && isDistinct) return allOf(items.map((item) => acceptOne(item, mostOpen)));
      const results: Enqueued[] = [];
      for (const item of items) results.push(await acceptOne(item, mostOpen));
      return results;
    },

    async confirmRest() {
      for (const subject of unconfirmed) await confirm(subject);
    },

    async finish() {
      for (const [subject, { promised }] of ledger.keys) {
        if (promised.isPending && ledger.index.get(promised.id)) await confirm(subject);
      }
      const quiet = new Map<string, readonly [string, string]>();
      for (const { lane, queued } of ledger.index.lanes()) {
        for (const held of queued) {
          const key = held.record.rules?.key;
          if (key !== undefined && isSuperseded(held)) quiet.set(`${lane}\0${key}`, [lane, key]);
        }
      }
      for (const [lane, key] of quiet.values()) await cancelSuperseded(lane, key);
    },
  };
}

/** Waits for all of them, and rejects with the first that did. */
export async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** When the item accepted last of those that bind a new one may begin. */
function slotBefore(ledger: Ledger, { lane, rules }: NewItem): number | undefined {
  if (!rules || rules.throttleMs === 0) return undefined;
  const slots = ledger.index.key(lane, rules.key)?.slots;
  if (rules.debounceMs === 0) return slots?.last()?.slotAt;
  return [...(slots ?? [])].findLast((held) => !isSuperseded(held))?.slotAt;
}

function idempotencyOf({ id }: NewItem, { digest, untilAt }: NonNullable<NewItem['idempotency']>) {
  return { id, digest, untilAt };
}

function encodeKey(promised: Promised): { readonly head: string; readonly body: Uint8Array } {
  return { head: JSON.stringify(promised), body: new Uint8Array() };
}
