import { EbbError } from '../../core/errors.ts';
import { type Held, isOpen, leaseOf } from '../fold-held.ts';
import type { Lease, NewItem, QueueRecord } from '../queue.ts';
import type { Taken } from '../take-items.ts';
import { decodeStateBody, encodeState, GONE, type StateBody, withItem } from './encode-held.ts';
import type { Journal } from './journal.ts';
import type { Ledger, Mark } from './ledger.ts';
import type { Serial } from './serial.ts';
import type { Subjects } from './subjects.ts';

/** What a change makes of a call. */
export interface Change {
  readonly held: Held;
  /** Items that are to be queued because of it, besides those that are still to be; they stand in its record until then. */
  readonly follow?: readonly NewItem[] | undefined;
  /** Whether all that was to be queued because of it is. */
  readonly isPaid?: boolean | undefined;
}

/** The calls of the journal, one by one. Nothing here takes the call's turn; see {@link Calls.inTurn}. */
export interface Calls {
  /** Changes of one call come one after the other. */
  inTurn<T>(id: string, work: () => Promise<T>): Promise<T>;
  /** What the index knows of a call, with its attempts while it is open, and all of its state with `whole`. */
  current(id: string, whole?: boolean): Promise<Held | undefined>;
  /** As {@link current}, after asking the server what is newest: another server may have changed it. */
  refresh(id: string): Promise<Held | undefined>;
  /**
   * Writes what `decide` makes of the newest state; it is asked again where another server was quicker. Undefined when
   * it declines, or there is no such call. With `whole` it sees all there is but what was accepted.
   */
  change(
    id: string,
    decide: (held: Held) => Change | undefined | Promise<Change | undefined>,
    options?: { readonly whole?: boolean },
  ): Promise<Change | undefined>;
  /** Writes that a call is gone and removes what it was, if `decide` still says so for the newest state. */
  forget(id: string, decide: (held: Held) => boolean): Promise<boolean>;
  /** The whole record of a call. */
  load(id: string): Promise<QueueRecord | undefined>;
  /** Puts back what the index leaves out of what was accepted. Undefined when it is gone. */
  withAccepted(record: QueueRecord): Promise<QueueRecord | undefined>;
  /** What is still to be queued because of a call. */
  owed(id: string): Promise<readonly NewItem[]>;
  /**
   * Writes an attempt down that was begun in the index; undefined, with the index as the journal has it, where that was
   * not how the call stands.
   */
  begin(taken: Taken): Promise<Lease | undefined>;
}

/** Times a change is decided again before it is given up; only servers that fight over a call come near. */
const TRIES = 20;

/** What {@link Calls} are made of. */
export interface CallsOptions {
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly subjects: Subjects;
  readonly serial: Serial;
  /** Hears of messages that cannot be read; their calls are set aside, as if they were not there. */
  readonly onDamaged: (subject: string, cause: unknown) => void;
}

/** Joins the journal and what is known of it. */
export function createCalls({ journal, ledger, subjects, serial, onDamaged }: CallsOptions): Calls {
  const doubted = new Set<string>();
  const damaged = new Set<string>();

  /** Reads a message of a call; undefined where it is damaged. */
  const readable = <T>(id: string, subject: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (cause) {
      onDamaged(subject, cause);
      damaged.add(id);
      ledger.drop(id);
      return undefined;
    }
  };

  const refresh = async (id: string): Promise<Held | undefined> => {
    if (damaged.has(id)) {
      ledger.drop(id);
      return undefined;
    }
    const [item, state] = [subjects.item(id), subjects.state(id)];
    const [newest, accepted] = [await journal.readLast(state), await journal.readLast(item)];
    if (!accepted) {
      ledger.drop(id, newest?.head === GONE.head ? newest.seq : undefined);
    } else {
      ledger.apply({ ...accepted, subject: item });
      if (newest) ledger.apply({ ...newest, subject: state });
      // A server that lost what it had acknowledged goes on from what it has.
      const known = ledger.mark(id);
      if (known && known.stateSeq > (newest?.seq ?? 0)) {
        ledger.drop(id);
        ledger.apply({ ...accepted, subject: item });
        if (newest) ledger.apply({ ...newest, subject: state });
      }
    }
    doubted.delete(id);
    return ledger.index.get(id);
  };

  const stateBody = async (id: string, mark: Mark): Promise<StateBody | undefined> => {
    const message = mark.stateSeq === 0 ? undefined : await journal.readAt(mark.stateSeq);
    return message && readable(id, subjects.state(id), () => decodeStateBody(message.body));
  };

  const current = async (id: string, whole = false): Promise<Held | undefined> => {
    if (doubted.has(id)) await refresh(id);
    for (let round = 0; round < TRIES; round += 1) {
      const mark = ledger.mark(id);
      const held = ledger.index.get(id);
      if (!mark || !held) return undefined;
      if (mark.isComplete || (!whole && !isOpen(held.record))) return held;
      const body = await stateBody(id, mark);
      if (body) {
        const complete = { ...held, record: { ...held.record, ...body.state } };
        if (isOpen(held.record) && ledger.mark(id) === mark) ledger.put(complete, { ...mark, isComplete: true });
        return complete;
      }
      await refresh(id);
    }
    throw tooMany(id);
  };

  const write = async (id: string, { held, follow: added = [], isPaid = false }: Change): Promise<boolean> => {
    const mark = ledger.mark(id);
    if (!mark) return false;
    const owed = mark.follow && !isPaid ? (await stateBody(id, mark))?.follow : [];
    if (!owed) {
      await refresh(id);
      return false;
    }
    const follow = [...owed, ...added];
    const written = await journal
      .write(subjects.state(id), encodeState(held, follow), mark.stateSeq)
      .catch((error: unknown) => {
        doubted.add(id);
        throw error;
      });
    if (written.kind === 'conflict') {
      if (written.found) ledger.apply({ ...written.found, subject: subjects.state(id) });
      else await refresh(id);
      return false;
    }
    const files = follow.flatMap(({ body }) => (body.kind === 'file' ? [body.digest] : []));
    ledger.put(held, {
      itemSeq: mark.itemSeq,
      stateSeq: written.seq,
      isComplete: isOpen(held.record),
      ...(follow.length > 0 && { follow: files }),
    });
    return true;
  };

  const withAccepted = async (record: QueueRecord): Promise<QueueRecord | undefined> => {
    const mark = ledger.mark(record.id);
    const message = mark && (await journal.readAt(mark.itemSeq));
    return message && readable(record.id, subjects.item(record.id), () => withItem(record, message.body));
  };

  const begin = async ({ before, running }: Taken): Promise<Lease | undefined> => {
    const { id } = before.record;
    const isStillTaken = () => ledger.index.get(id) === running;
    const giveBack = async () => {
      if (isStillTaken()) ledger.index.put(before);
      await refresh(id);
      return undefined;
    };
    try {
      if (!isStillTaken()) return undefined;
      const mark = ledger.mark(id);
      if (!mark || doubted.has(id)) return await giveBack();
      const state = mark.isComplete ? running.record : (await stateBody(id, mark))?.state;
      const record = state && (await withAccepted({ ...running.record, attempts: state.attempts }));
      if (!record || !isStillTaken()) return await giveBack();
      if (await write(id, { held: { ...running, record } })) return leaseOf({ ...running, record });
      if (isStillTaken()) ledger.index.put(before);
      return undefined;
    } catch (error) {
      if (isStillTaken()) ledger.index.put(before);
      throw error;
    }
  };

  return {
    inTurn: (id, work) => serial.run(`call ${id}`, work),
    current,
    refresh,
    withAccepted,
    begin,

    async change(id, decide, { whole = false } = {}) {
      for (let round = 0; round < TRIES; round += 1) {
        const held = await current(id, whole);
        const change = held && (await decide(held));
        if (!change) return undefined;
        if (await write(id, change)) return change;
      }
      throw tooMany(id);
    },

    async forget(id, decide) {
      for (let round = 0; round < TRIES; round += 1) {
        const held = await current(id);
        const mark = ledger.mark(id);
        if (!held || !mark || !decide(held)) return false;
        const bury = () => journal.write(subjects.state(id), GONE, mark.stateSeq);
        const written = await bury().catch(async (error: unknown) => {
          doubted.add(id);
          if (!(error instanceof EbbError) || error.code !== 'STORAGE_FULL') throw error;
          // Its item is larger than the message that says it is gone. A state that is left alone counts as gone as well.
          await journal.remove(mark.itemSeq);
          return bury();
        });
        doubted.delete(id);
        if (written.kind === 'written') {
          ledger.drop(id, written.seq);
          await journal.remove(mark.itemSeq);
          return true;
        }
        await refresh(id);
      }
      throw tooMany(id);
    },

    async load(id) {
      for (let round = 0; round < TRIES; round += 1) {
        const held = (await current(id, true)) ?? (await refresh(id).then(() => current(id, true)));
        if (!held) return undefined;
        const record = await withAccepted(held.record);
        if (record) return record;
        if (!(await refresh(id))) return undefined;
      }
      throw tooMany(id);
    },

    async owed(id) {
      for (let round = 0; round < TRIES; round += 1) {
        const mark = ledger.mark(id);
        if (!mark?.follow) return [];
        const body = await stateBody(id, mark);
        if (body) return body.follow;
        await refresh(id);
      }
      throw tooMany(id);
    },
  };
}

function tooMany(id: string): EbbError {
  return new EbbError('STORE_FAILED', `the call "${id}" is changed by several servers at once; try again`);
}
