import type { InvocationState } from '@ebb/contract';
import type { KeyLoad } from './decide-key.ts';
import { type Held, isOpen } from './fold-held.ts';
import { createSortedList, type SortedList } from './sorted-list.ts';

/** The open items of a lane. */
export interface LaneIndex {
  readonly lane: string;
  readonly namespace: string;
  /** Queued items whose moment has come, as they are leased: higher priority first, then in order of acceptance. */
  readonly due: SortedList<Held>;
  /** Queued items that wait for their moment, earliest first. */
  readonly delayed: SortedList<Held>;
  readonly running: SortedList<Held>;
  /** Those that are due or delayed, in order of acceptance. */
  readonly queued: SortedList<Held>;
}

/** The items of a key of a lane, each list in order of acceptance. */
export interface KeyIndex {
  readonly unbegun: SortedList<Held>;
  readonly retrying: SortedList<Held>;
  readonly running: SortedList<Held>;
  /** Open or ended: those that bound when the next may begin. */
  readonly slots: SortedList<Held>;
}

/** All items of a memory queue, found by what its methods ask for. */
export interface QueueIndex {
  /** In order of acceptance. */
  all(): IterableIterator<Held>;
  get(id: string): Held | undefined;
  /** Adds an item, or puts its next state in the place of the one it had. */
  put(held: Held): void;
  drop(id: string): void;
  lanes(): IterableIterator<LaneIndex>;
  lane(lane: string): LaneIndex | undefined;
  key(lane: string, key: string): KeyIndex | undefined;
  count(namespace: string): Readonly<Record<InvocationState, number>>;
}

const bySeq = (left: Held, right: Held): number => left.record.seq - right.record.seq;
const byRank = (left: Held, right: Held): number => right.record.priority - left.record.priority || bySeq(left, right);
const byMoment = (left: Held, right: Held): number =>
  (left.record.nextAt ?? 0) - (right.record.nextAt ?? 0) || bySeq(left, right);

/** Makes an empty index. */
export function createQueueIndex(): QueueIndex {
  const items = new Map<string, Held>();
  const lanes = new Map<string, LaneIndex>();
  const keys = new Map<string, KeyIndex>();
  const counts = new Map<string, Record<InvocationState, number>>();

  /** The lists an item is in. */
  const listsOf = (held: Held): readonly SortedList<Held>[] => {
    const { record, slotAt } = held;
    const { state, begun, rules } = record;
    const lane = isOpen(record) && ensure(lanes, record.lane, () => newLane(record.lane, record.namespace));
    const waiting = (open: LaneIndex) => [open.queued, held.isDue ? open.due : open.delayed];
    const ofLane = !lane ? [] : state === 'running' ? [lane.running] : waiting(lane);
    if (!rules || (!lane && slotAt === undefined)) return ofLane;
    const key = ensure(keys, keyName(record.lane, rules.key), newKey);
    const ofKey = !lane ? [] : [state === 'running' ? key.running : begun > 0 ? key.retrying : key.unbegun];
    return [...ofLane, ...ofKey, ...(slotAt === undefined ? [] : [key.slots])];
  };
  const countsOf = (namespace: string) => ensure(counts, namespace, newCounts);

  const remove = (held: Held): void => {
    for (const list of listsOf(held)) list.remove(held);
    const { lane, namespace, rules, state } = held.record;
    const left = countsOf(namespace);
    left[state] -= 1;
    if (Object.values(left).every((count) => count === 0)) counts.delete(namespace);
    const open = lanes.get(lane);
    if (open && open.queued.size + open.running.size === 0) lanes.delete(lane);
    const key = rules && keys.get(keyName(lane, rules.key));
    if (key && key.unbegun.size + key.retrying.size + key.running.size + key.slots.size === 0) {
      keys.delete(keyName(lane, rules.key));
    }
  };

  return {
    all: () => items.values(),
    get: (id) => items.get(id),
    put(held) {
      const before = items.get(held.record.id);
      if (before) remove(before);
      items.set(held.record.id, held);
      for (const list of listsOf(held)) list.add(held);
      countsOf(held.record.namespace)[held.record.state] += 1;
    },
    drop(id) {
      const before = items.get(id);
      if (before) remove(before);
      items.delete(id);
    },
    lanes: () => lanes.values(),
    lane: (lane) => lanes.get(lane),
    key: (lane, key) => keys.get(keyName(lane, key)),
    count: (namespace) => counts.get(namespace) ?? newCounts(),
  };
}

/** What {@link KeyLoad} says of a key. */
export function loadOf(key: KeyIndex | undefined): KeyLoad {
  return {
    running: key?.running.size ?? 0,
    retrying: key?.retrying.size ?? 0,
    firstUnbegun: key?.unbegun.first()?.record.seq,
  };
}

function newLane(lane: string, namespace: string): LaneIndex {
  return {
    lane,
    namespace,
    due: createSortedList(byRank),
    delayed: createSortedList(byMoment),
    running: createSortedList(bySeq),
    queued: createSortedList(bySeq),
  };
}

function newKey(): KeyIndex {
  return {
    unbegun: createSortedList(bySeq),
    retrying: createSortedList(bySeq),
    running: createSortedList(bySeq),
    slots: createSortedList(bySeq),
  };
}

function newCounts(): Record<InvocationState, number> {
  return { queued: 0, running: 0, succeeded: 0, dead: 0, cancelled: 0 };
}

function keyName(lane: string, key: string): string {
  return `${lane}\0${key}`;
}

function ensure<T>(map: Map<string, T>, name: string, make: () => T): T {
  const there = map.get(name);
  if (there !== undefined) return there;
  const made = make();
  map.set(name, made);
  return made;
}
