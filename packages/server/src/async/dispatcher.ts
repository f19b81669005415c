import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AsyncPolicy } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Lease, NewItem, Queue, QueueRecord, Settlement, Target } from '../store/queue.ts';
import { classifyLaneSign } from './classify-lane-sign.ts';
import type { LaneRoom } from './decide-lane-limit.ts';
import { decideSettlement, settleExpired } from './decide-settlement.ts';
import { decideTurns } from './decide-turns.ts';
import type { Delivered, Deliverer } from './deliverer.ts';
import { DispatchLane } from './dispatch-lane.ts';
import { type LaneName, parseLane } from './lane-name.ts';
import { createLeaseKeeper } from './lease-keeper.ts';
import { RunningAttempt } from './running-attempt.ts';
import { createSettler } from './settler.ts';

/** A lease lasts so long unless it is extended. */
const LEASE_MS = 30_000;
/** Attempts at once, over all lanes. */
const MAX_RUNNING = 2_000;
/** The wall clock is looked at this often while something waits for a moment: it may jump. */
const LOOK_EVERY_MS = 1_000;
/** Attempts that begin in one turn of the event loop, so that calls from outside get theirs. */
const BEGIN_AT_ONCE = 8;
/** With more outcomes than this on their way to the disk, places become free only when they are there. */
const MAX_UNSETTLED = 1_000;
/** How long after the queue failed it is asked again. */
const AGAIN_MS = 1_000;

/** How a call ended for good. */
export type Ending = Extract<Settlement['next'], { readonly kind: 'succeeded' | 'dead' }>;

/** Where the outcome of a call goes. */
export type FollowUps = (record: QueueRecord, ending: Ending, policy: AsyncPolicy) => readonly NewItem[];

/** What a {@link Dispatcher} is made with. */
export interface DispatcherOptions {
  readonly queue: Queue;
  /** Names this run of the server in leases. */
  readonly owner: string;
  readonly deliverers: Readonly<Record<'function' | 'url', Deliverer>>;
  /** What holds for calls of a target, also of one that is gone. */
  readonly policyOf: (target: Target) => AsyncPolicy;
  /** What those a lane calls can take now. */
  readonly roomOf: (lane: LaneName) => LaneRoom;
  readonly followUps: FollowUps;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'error' | 'info'>;
  /** Default: Math.random. */
  readonly random?: () => number;
  /** Default: 30 seconds. */
  readonly leaseMs?: number;
  /** Most attempts at once, over all lanes. Default: 2,000. */
  readonly maxRunning?: () => number;
}

/** Takes due calls from the queue and makes attempts of them. */
export interface Dispatcher extends AsyncDisposable {
  /** Attempts that run. */
  readonly running: number;
  /**
   * Begins: takes up at once what runs of the server left that are none of `alive`, then everything that is due.
   */
  start(alive?: readonly string[]): Promise<void>;
  /** There may be something new in these lanes. */
  poke(lanes: Iterable<string>): void;
  /** Takes back calls whose leases ran out, gives up those that are too old, and looks at every lane. */
  sweep(): Promise<void>;
  /** Ends the attempt of a call, which is cancelled with that message; false when none of it runs here. */
  abort(id: string, message: string): boolean;
  /** Begins no attempt any more; those that run go on. */
  stop(): Promise<void>;
  /** Goes on after {@link stop}. */
  resume(): void;
  /** Stops, and gives back what still runs: it is made anew, and nothing counts against the function. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Makes a {@link Dispatcher}, not started yet. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  return new QueueDispatcher(options);
}

class QueueDispatcher implements Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #leaseMs: number;
  readonly #lanes = new Map<string, DispatchLane>();
  readonly #due = new Set<DispatchLane>();
  readonly #attempts = new Map<string, RunningAttempt>();
  /** What was leased, until its outcome is on disk. */
  readonly #work = new Set<Promise<void>>();
  readonly #keeper;
  readonly #settler;
  #isLeasing = false;
  #hasTurn = false;
  #turn = 0;
  #wake: NodeJS.Timeout | undefined;
  /** Places taken over all lanes. */
  #running = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#keeper = createLeaseKeeper({ ...options, leaseMs: this.#leaseMs });
    this.#settler = createSettler(options);
  }

  get running(): number {
    return this.#attempts.size;
  }

  async start(alive: readonly string[] = []): Promise<void> {
    const { queue, clock, owner, logger } = this.#options;
    try {
      await queue.reclaim({ now: clock.now(), owners: [owner, ...alive] });
      await this.#lookAtAll();
    } catch (error) {
      // The next sweep finds the same.
      logger.error({ err: error }, 'the queue of asynchronous calls could not be read; it is tried again');
    }
    this.resume();
  }

  resume(): void {
    this.#isLeasing = true;
    this.#soon();
  }

  poke(lanes: Iterable<string>): void {
    for (const lane of lanes) this.#setDue(this.#laneOf(lane));
  }

  abort(id: string, message: string): boolean {
    return this.#attempts.get(id)?.stop({ kind: 'cancelled', message }) === true;
  }

  async sweep(): Promise<void> {
    const { queue, clock, logger } = this.#options;
    try {
      const now = clock.now();
      // Ours first and by the same clock: after a jump of the clock they would seem to have run out.
      if (await this.#keeper.extendAll(now)) this.poke(await queue.reclaim({ now }));
      await this.#lookAtAll();
    } catch (error) {
      logger.error({ err: error }, 'the queue of asynchronous calls could not be looked through; it is tried again');
    }
    const nowMs = clock.monotonic();
    for (const [name, lane] of this.#lanes) if (lane.isIdle(nowMs)) this.#lanes.delete(name);
  }

  async stop(): Promise<void> {
    this.#isLeasing = false;
    clearTimeout(this.#wake);
    this.#wake = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    for (const attempt of this.#attempts.values()) attempt.stop({ kind: 'returned' });
    while (this.#work.size > 0) await Promise.all(this.#work);
    this.#keeper[Symbol.dispose]();
  }

  /** Looks at every lane there is; what is too old in it is given up. */
  async #lookAtAll(): Promise<void> {
    for (const { lane, queued, nextAt } of await this.#options.queue.lanes()) {
      if (queued === 0) continue;
      this.#expect(this.#laneOf(lane), nextAt);
      await this.#giveUpExpired(lane);
    }
  }

  async #giveUpExpired(lane: string): Promise<void> {
    const { queue } = this.#options;
    for (;;) {
      const request = this.#request(lane, BEGIN_AT_ONCE * BEGIN_AT_ONCE);
      const { leases } = await queue.lease({ ...request, expired: true });
      if (leases.length === 0) return;
      const heldUntilMs = this.#options.clock.monotonic() + this.#leaseMs;
      await Promise.all(leases.map((lease) => this.#settleExpired(lease, heldUntilMs)));
    }
  }

  #request(lane: string, max: number) {
    const now = this.#options.clock.now();
    return { lane, max, now, untilAt: now + this.#leaseMs, owner: this.#options.owner };
  }

  #laneOf(name: string): DispatchLane {
    const known = this.#lanes.get(name);
    if (known) return known;
    const lane = new DispatchLane(name, parseLane(name));
    this.#lanes.set(name, lane);
    return lane;
  }

  #setDue(lane: DispatchLane): void {
    // What is in a queue waits for somebody who takes it.
    if (lane.of.kind === 'queue') return;
    lane.isDue = true;
    this.#due.add(lane);
    this.#soon();
  }

  /** Takes note of when there may be something in a lane; undefined for never, as far as is known. */
  #expect(lane: DispatchLane, at: number | undefined): void {
    if (at === undefined || lane.of.kind === 'queue') return;
    if (at <= this.#options.clock.now()) {
      this.#setDue(lane);
      return;
    }
    lane.expect(at);
    this.#setWake();
  }

  #soon(): void {
    if (this.#hasTurn || !this.#isLeasing) return;
    this.#hasTurn = true;
    setImmediate(() => {
      this.#hasTurn = false;
      if (this.#isLeasing) this.#takeTurn();
    });
  }

  /** Shares the free places out and asks the queue for work for them. */
  #takeTurn(): void {
    const { clock, roomOf, maxRunning } = this.#options;
    const nowMs = clock.monotonic();
    const demands = [...this.#due].map((lane) => lane.demand(roomOf(lane.of), nowMs)).filter(({ wants }) => wants > 0);
    this.#setWake();
    if (demands.length === 0) return;
    this.#turn += 1;
    for (const [name, places] of decideTurns(demands, (maxRunning?.() ?? MAX_RUNNING) - this.#running)) {
      const lane = this.#laneOf(name);
      lane.servedAt = this.#turn;
      this.#track(this.#ask(lane, places));
    }
  }

  /** Leases work of a lane for so many places and begins with it. */
  async #ask(lane: DispatchLane, places: number): Promise<void> {
    const { queue, clock, logger } = this.#options;
    lane.isAsking = true;
    lane.isDue = false;
    this.#due.delete(lane);
    this.#occupy(lane, places);
    const request = this.#request(lane.lane, places);
    const heldUntilMs = clock.monotonic() + this.#leaseMs;
    try {
      const { leases, nextAt } = await queue.lease(request);
      lane.isAsking = false;
      lane.nextAt = undefined;
      this.#occupy(lane, leases.length - places);
      if (leases.length === places) this.#setDue(lane);
      else this.#expect(lane, nextAt);
      // It may have become due while it was asked.
      if (lane.isDue) this.#soon();
      await this.#begin(lane, leases, heldUntilMs, request.now);
    } catch (error) {
      logger.error({ err: error }, 'asynchronous calls could not be leased; it is tried again');
      lane.isAsking = false;
      this.#occupy(lane, -places);
      this.#expect(lane, clock.now() + AGAIN_MS);
    }
  }

  async #begin(lane: DispatchLane, leases: readonly Lease[], heldUntilMs: number, leasedAt: number): Promise<void> {
    const attempts = leases.map((lease) => new RunningAttempt(lease, heldUntilMs));
    for (const attempt of attempts) {
      this.#attempts.set(attempt.lease.record.id, attempt);
      this.#keeper.add(attempt);
    }
    const { clock } = this.#options;
    // The clock jumped while the queue was asked: the leases may seem to have run out already.
    if (attempts.length > 0 && Math.abs(clock.now() - leasedAt) > this.#leaseMs / 3)
      await this.#keeper.extendAll(clock.now());
    for (const [i, attempt] of attempts.entries()) {
      if (i > 0 && i % BEGIN_AT_ONCE === 0) await nextTurn();
      this.#track(this.#run(lane, attempt));
    }
  }

  /** Makes one attempt and writes down what came of it. */
  async #run(lane: DispatchLane, attempt: RunningAttempt): Promise<void> {
    const { lease } = attempt;
    const { record } = lease;
    const { clock } = this.#options;
    let isFree = false;
    const free = () => {
      if (isFree) return;
      isFree = true;
      this.#occupy(lane, -1);
      if (lane.isDue) this.#soon();
    };
    try {
      if (record.expiresAt <= clock.now() && !attempt.stopped) {
        await this.#settleExpired(lease, attempt.heldUntilMs);
        return;
      }
      // Nothing has begun yet: it is as if it had not been leased.
      if (!this.#isLeasing || attempt.stopped?.kind === 'returned') {
        await this.#giveBack(attempt);
        return;
      }
      const delivered = await this.#deliver(lease, attempt.signal);
      attempt.isEnded = true;
      const sign = classifyLaneSign(delivered);
      if (sign) lane.learn(sign, clock.monotonic());
      if (this.#settler.pending < MAX_UNSETTLED) free();
      if (attempt.stopped?.kind !== 'lost') await this.#settle(lane, attempt, delivered);
    } finally {
      free();
      this.#keeper.remove(attempt);
      if (this.#attempts.get(record.id) === attempt) this.#attempts.delete(record.id);
    }
  }

  async #deliver(lease: Lease, signal: AbortSignal): Promise<Delivered> {
    const { deliverers, clock, logger } = this.#options;
    const { kind } = lease.record.target;
    const startedAt = clock.now();
    try {
      if (kind === 'queue') throw new Error('a queue delivers nothing');
      return await deliverers[kind].deliver(lease, signal);
    } catch (error) {
      const { id } = lease.record;
      logger.error({ err: error, callId: id }, 'an asynchronous call met a defect');
      const { code, message, status } = asEbbError(error);
      return { verdict: 'platform', startedAt, endedAt: clock.now(), errorCode: code, status, message };
    }
  }

  async #settle(lane: DispatchLane, attempt: RunningAttempt, delivered: Delivered): Promise<void> {
    const { clock, policyOf, random = Math.random } = this.#options;
    const { record, attempt: number, receipt } = attempt.lease;
    const policy = policyOf(record.target);
    const { stopped } = attempt;
    const now = clock.now();
    const settlement = decideSettlement({
      record,
      attempt: number,
      delivered,
      policy,
      cancelled: stopped?.kind === 'cancelled' ? stopped.message : undefined,
      now,
      random: random(),
    });
    const { next } = settlement;
    const follow = this.#followUps(record, next, policy);
    const isSettled = await this.#settler.settle({ ...settlement, receipt, now, follow }, () => this.#isHeld(attempt));
    if (!isSettled) return;
    this.poke(new Set(follow.map((item) => item.lane)));
    // Whoever waited for the key may begin now.
    if (record.rules) this.#setDue(lane);
    if (next.kind === 'retry') this.#expect(lane, next.at);
  }

  async #settleExpired({ record, receipt }: Lease, heldUntilMs: number): Promise<void> {
    const { clock, policyOf } = this.#options;
    const next = settleExpired(record);
    const follow = this.#followUps(record, next, policyOf(record.target));
    const isHeld = () => clock.monotonic() < heldUntilMs;
    const isSettled = await this.#settler.settle({ receipt, now: clock.now(), next, follow }, isHeld);
    if (isSettled) this.poke(new Set(follow.map((item) => item.lane)));
    if (isSettled && record.rules) this.#setDue(this.#laneOf(record.lane));
  }

  async #giveBack(attempt: RunningAttempt): Promise<void> {
    const now = this.#options.clock.now();
    const { receipt, record } = attempt.lease;
    const next = { kind: 'retry', at: record.nextAt ?? record.runAt, counts: false } as const;
    await this.#settler.settle({ receipt, now, next }, () => this.#isHeld(attempt));
  }

  #isHeld(attempt: RunningAttempt): boolean {
    return attempt.stopped?.kind !== 'lost' && this.#options.clock.monotonic() < attempt.heldUntilMs;
  }

  #followUps(record: QueueRecord, next: Settlement['next'], policy: AsyncPolicy): readonly NewItem[] {
    if (next.kind !== 'succeeded' && next.kind !== 'dead') return [];
    return this.#options.followUps(record, next, policy);
  }

  #occupy(lane: DispatchLane, places: number): void {
    lane.running += places;
    this.#running += places;
    // Somebody may have waited for a place.
    if (places < 0 && this.#due.size > 0) this.#soon();
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  /** Looks again when the next lane has something, or after a second: by then the clock may have jumped. */
  #setWake(): void {
    if (this.#wake !== undefined || !this.#isLeasing) return;
    const { clock } = this.#options;
    const [now, nowMs] = [clock.now(), clock.monotonic()];
    let waitMs = Infinity;
    for (const lane of this.#lanes.values()) {
      if (lane.nextAt !== undefined) waitMs = Math.min(waitMs, lane.nextAt - now);
      if (lane.isDue && lane.heldUntilMs > nowMs) waitMs = Math.min(waitMs, lane.heldUntilMs - nowMs);
    }
    if (waitMs === Infinity) return;
    this.#wake = setTimeout(() => this.#wakeUp(), Math.max(1, Math.min(waitMs, LOOK_EVERY_MS)));
    this.#wake.unref();
  }

  #wakeUp(): void {
    this.#wake = undefined;
    const now = this.#options.clock.now();
    for (const lane of this.#lanes.values()) {
      if (lane.nextAt === undefined || lane.nextAt > now) continue;
      lane.nextAt = undefined;
      this.#setDue(lane);
    }
    this.#soon();
    this.#setWake();
  }
}
