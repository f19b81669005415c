import { mayBegin } from './decide-key.ts';
import { beginAttempt, type Held, makeDue } from './fold-held.ts';
import type { LaneStats, LeaseRequest } from './queue.ts';
import { type LaneIndex, loadOf, type QueueIndex } from './queue-index.ts';

/** An item that begins an attempt. */
export interface Taken {
  readonly before: Held;
  /** What the index has now. */
  readonly running: Held;
}

/** Begins what a lease asks for, in the index; the caller writes it down or puts back what was before. */
export function takeItems(index: QueueIndex, request: LeaseRequest): readonly Taken[] {
  return request.expired ? takeExpired(index, request) : takeDue(index, request);
}

/** When more may be due for a request after the items for it were taken, see `Leased.nextAt`. */
export function nextMoment(index: QueueIndex, request: LeaseRequest): number | undefined {
  const lane = index.lane(request.lane);
  if (!lane) return undefined;
  if (!request.expired) return nextOf(index, lane);
  let first: number | undefined;
  for (const { record } of lane.queued) first = Math.min(first ?? Infinity, record.expiresAt);
  return first !== undefined && first <= request.now ? 0 : first;
}

/** What waits and runs in a lane. */
export function statsOf(index: QueueIndex, lane: LaneIndex): LaneStats {
  return {
    lane: lane.lane,
    namespace: lane.namespace,
    queued: lane.queued.size,
    running: lane.running.size,
    oldestAt: lane.queued.first()?.record.acceptedAt,
    nextAt: nextOf(index, lane),
  };
}

function takeDue(index: QueueIndex, request: LeaseRequest): readonly Taken[] {
  const { lane, now, max } = request;
  // What was due once stays due, so that a clock that is set back holds up nothing.
  for (let next = firstDelayed(index, lane, now); next; next = firstDelayed(index, lane, now)) index.put(makeDue(next));
  const taken: Taken[] = [];
  while (taken.length < max) {
    // From the front each time: one that begins can be what held up another of its key.
    const next = firstThatMayBegin(index, index.lane(lane));
    if (!next) break;
    taken.push(begin(index, next, request));
  }
  return taken;
}

function firstDelayed(index: QueueIndex, lane: string, now: number): Held | undefined {
  const first = index.lane(lane)?.delayed.first();
  return first && (first.record.nextAt ?? 0) <= now ? first : undefined;
}

function takeExpired(index: QueueIndex, request: LeaseRequest): readonly Taken[] {
  const lane = index.lane(request.lane);
  return [...(lane?.queued ?? [])]
    .filter(({ record }) => record.expiresAt <= request.now)
    .toSorted(({ record: left }, { record: right }) => left.expiresAt - right.expiresAt || left.seq - right.seq)
    .slice(0, request.max)
    .map((held) => begin(index, held, request));
}

function begin(index: QueueIndex, before: Held, { owner, now, untilAt }: LeaseRequest): Taken {
  const running = beginAttempt(before, { owner, startedAt: now, untilAt });
  index.put(running);
  return { before, running };
}

function firstThatMayBegin(index: QueueIndex, lane: LaneIndex | undefined): Held | undefined {
  for (const item of lane?.due ?? []) {
    const { rules, seq, begun } = item.record;
    if (!rules || mayBegin({ seq, begun, rules }, loadOf(index.key(item.record.lane, rules.key)))) return item;
  }
  return undefined;
}

/** When something of the lane may begin: 0 for at once; what waits for its moment is not asked whether its key lets it. */
function nextOf(index: QueueIndex, lane: LaneIndex): number | undefined {
  return firstThatMayBegin(index, lane) ? 0 : lane.delayed.first()?.record.nextAt;
}
