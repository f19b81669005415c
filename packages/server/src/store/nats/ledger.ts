import { type Held, isOpen, makeDue } from '../fold-held.ts';
import type { Idempotency } from '../queue.ts';
import { createQueueIndex, type QueueIndex } from '../queue-index.ts';
import { decodeItemHead, decodeStateHead, GONE, slim } from './encode-held.ts';
import type { Scanned } from './journal.ts';
import type { Subjects } from './subjects.ts';

/** Where a call stands in the journal. */
export interface Mark {
  /** Message it was accepted with. */
  readonly itemSeq: number;
  /** Newest message of what has become of it, which the next one has to expect; 0 for none. */
  readonly stateSeq: number;
  /** Whether the index has all there is to know of it besides what was accepted; of one that ended it never has. */
  readonly isComplete: boolean;
  /** Files of items that are still to be queued because of it; undefined when there are none. */
  readonly follow?: readonly string[] | undefined;
}

/** Which call an idempotency key stands for. */
export interface Promised extends Omit<Idempotency, 'key'> {
  readonly id: string;
  /** Whether the call may not have been written yet. */
  readonly isPending: boolean;
}

/** What the journal says, in memory and without bodies: built from a scan, then kept up with every write. */
export interface Ledger {
  readonly index: QueueIndex;
  /** Forgets everything, to be built anew. */
  clear(): void;
  mark(id: string): Mark | undefined;
  /** Ids of calls because of which items are still to be queued. */
  owing(): readonly string[];
  /** Takes in a message; what is older than what is known changes nothing. */
  apply(message: Scanned): void;
  /** Takes in what was written or read of a call. */
  put(held: Held, mark: Mark): void;
  /** Forgets a call for good; `graveSeq` is the message that says so, where there is one. */
  drop(id: string, graveSeq?: number): void;
  /** Messages that say that a call is gone, with the moment they were seen. */
  graves(): ReadonlyMap<string, Grave>;
  /** Forgets a grave, once its message is removed. */
  dropGrave(id: string): void;
  /** Messages of calls that are gone, which somebody died over removing; taken out. */
  takeLeftovers(): readonly number[];
  /** By {@link Subjects.key}. */
  readonly keys: Map<string, { readonly seq: number; readonly promised: Promised }>;
}

/** The last that is known of a forgotten call. */
export interface Grave {
  readonly seq: number;
  /** Monotonic time at which it was seen. */
  readonly seenAt: number;
}

/** What a {@link Ledger} needs. */
export interface LedgerOptions {
  readonly subjects: Subjects;
  /** Dates graves. */
  readonly monotonic: () => number;
  /** Hears of messages that cannot be read; they are left out. */
  readonly onDamaged: (subject: string, cause: unknown) => void;
}

/** Makes an empty ledger. */
export function createLedger({ subjects, monotonic, onDamaged }: LedgerOptions): Ledger {
  let index = createQueueIndex();
  const marks = new Map<string, Mark>();
  const owing = new Set<string>();
  const graves = new Map<string, Grave>();
  const keys: Ledger['keys'] = new Map();
  let leftovers: number[] = [];

  const put = (held: Held, mark: Mark): void => {
    const { id } = held.record;
    const kept = slim(held);
    const before = index.get(id);
    // What was due stays due, whatever the clock says by now.
    const staysDue = before?.isDue === true && before.fence === held.fence && kept.record.state === 'queued';
    index.put(staysDue && before.record.state === 'queued' ? makeDue(kept) : kept);
    marks.set(id, mark);
    graves.delete(id);
    if (mark.follow) owing.add(id);
    else owing.delete(id);
  };

  const drop = (id: string, graveSeq?: number): void => {
    index.drop(id);
    marks.delete(id);
    owing.delete(id);
    if (graveSeq !== undefined) graves.set(id, { seq: graveSeq, seenAt: monotonic() });
  };

  const applyItem = (id: string, { seq, head }: Scanned): void => {
    const grave = graves.get(id);
    if (grave && grave.seq > seq) {
      leftovers.push(seq);
      return;
    }
    if ((marks.get(id)?.itemSeq ?? 0) >= seq) return;
    put(decodeItemHead(id, seq, head), { itemSeq: seq, stateSeq: grave?.seq ?? 0, isComplete: true });
  };

  const applyState = (id: string, { seq, head }: Scanned): void => {
    const mark = marks.get(id);
    const held = index.get(id);
    if (mark && mark.stateSeq >= seq) return;
    if (mark && mark.itemSeq > seq) {
      // About a call that had this id before.
      marks.set(id, { ...mark, stateSeq: seq });
      return;
    }
    // What has become of an item that is not there says that it was removed, too.
    if (head === GONE.head || !mark || !held) {
      if (mark) leftovers.push(mark.itemSeq);
      drop(id, seq);
      return;
    }
    const state = decodeStateHead(held, head);
    const isComplete = !state.hasMore && isOpen(state.held.record);
    put(state.held, { itemSeq: mark.itemSeq, stateSeq: seq, isComplete, follow: state.follow });
  };

  const applyKey = (subject: string, { seq, head }: Scanned): void => {
    if ((keys.get(subject)?.seq ?? 0) >= seq) return;
    keys.set(subject, { seq, promised: JSON.parse(head) as Promised });
  };

  return {
    get index() {
      return index;
    },
    clear() {
      index = createQueueIndex();
      marks.clear();
      owing.clear();
      graves.clear();
      keys.clear();
      leftovers = [];
    },
    keys,
    put,
    drop,
    mark: (id) => marks.get(id),
    owing: () => [...owing],
    apply(message) {
      const parsed = subjects.parse(message.subject);
      try {
        if (parsed?.kind === 'item') applyItem(parsed.name, message);
        if (parsed?.kind === 'state') applyState(parsed.name, message);
        if (parsed?.kind === 'key') applyKey(message.subject, message);
      } catch (cause) {
        onDamaged(message.subject, cause);
        // What is known of it is older than what cannot be read.
        if (parsed?.kind === 'state') drop(parsed.name);
      }
    },
    graves: () => graves,
    dropGrave: (id) => graves.delete(id),
    takeLeftovers() {
      const taken = leftovers;
      leftovers = [];
      return taken;
    },
  };
}
