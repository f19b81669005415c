import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Lease, NewItem, Queue, QueueRecord, Settlement, Target } from '../store/queue.ts';
import { AttemptRunner, type AttemptRunnerOptions } from './attempt-runner.ts';
import { classifyLaneSign } from './classify-lane-sign.ts';
import type { LaneRoom } from './decide-lane-limit.ts';
import { decideTurns, type LaneDemand } from './decide-turns.ts';
import type { DispatchLane } from './dispatch-lane.ts';
import { LaneBook } from './lane-book.ts';
import type { LaneName } from './lane-name.ts';
import { createLeaseKeeper } from './lease-keeper.ts';
import type { Pace } from './pace.ts';
import { RunningAttempt } from './running-attempt.ts';
import { createSettler } from './settler.ts';
import type { Settling } from './settling.ts';

/** A lease lasts so long unless it is extended. */
const LEASE_MS = 30_000;
/** Attempts at once, over all lanes. */
const MAX_RUNNING = 2_000;
/** With nothing left of the pace it is asked again so soon. */
const PACE_MS = 5;
/** A lane that may begin no more is looked at again so soon. */
const ROOM_MS = 100;
/** Attempts that begin in one turn of the event loop, so that calls from outside get theirs. */
const BEGIN_AT_ONCE = 8;
/** Calls that are given up in one go because they are too old. */
const EXPIRE_AT_ONCE = 100;
/** A lane without calls that are too old is asked for them again after this. */
const FRESH_MS = 60_000;
/** With more outcomes than this on their way to the disk, places become free only when they are there. */
const MAX_UNSETTLED = 1_000;
/** How long after the queue failed it is asked again. */
const AGAIN_MS = 1_000;

/** What a {@link Dispatcher} is made with. */
export interface DispatcherOptions extends AttemptRunnerOptions {
  readonly queue: Omit<Queue, 'extend' | 'settle'>;
  /** Where attempts that were begun are extended and settled; another server's queue, once that has taken over. */
  readonly settling: Settling;
  /** Names this run of the server in leases. */
  readonly owner: string;
  /** What those a lane calls can take now. */
  readonly roomOf: (lane: LaneName) => LaneRoom;
  /** Told of each call that has ended, whatever way; must not throw. */
  readonly onEnded?: (id: string) => void;
  /** Told how each attempt left its call, once that is on disk; must not throw. */
  readonly onSettled?: (next: Settlement['next']['kind'], target: Target) => void;
  /** Default: 30 seconds. */
  readonly leaseMs?: number;
  /** How fast attempts may begin. Default: as fast as can be. */
  readonly pace?: Pick<Pace, 'allowance' | 'apartMs' | 'spend'>;
  /** Most attempts at once, over all lanes. Default: 2,000. */
  readonly maxRunning?: number;
}

/** Takes due calls from the queue and makes attempts of them. */
export interface Dispatcher extends AsyncDisposable {
  /** Attempts that run. */
  readonly running: number;
  /**
   * Begins: takes up at once what runs of the server left that are none of `alive`, then everything that is due.
   */
  start(alive?: readonly string[]): Promise<void>;
  /** Takes back at once what runs of the server left that are neither this one nor `alive`. */
  reclaim(alive?: readonly string[]): Promise<void>;
  /** There may be something new in these lanes, or in any. */
  poke(lanes?: Iterable<string>): void;
  /** What a lane calls has changed: what was learnt of it is forgotten, and it is looked at. */
  changed(lane: string): void;
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
  readonly #lanes: LaneBook;
  readonly #attempts = new Map<string, RunningAttempt>();
  /** What was leased, until its outcome is on disk. */
  readonly #work = new Set<Promise<void>>();
  readonly #keeper;
  readonly #settler;
  readonly #runner;
  #turn = 0;
  #isFailing = false;
  /** Questions to the queue under way. */
  readonly #asking = new Set<Promise<void>>();
  /** Places taken over all lanes. */
  #running = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    const { settling, clock, logger, pace } = options;
    this.#lanes = new LaneBook(clock, () => this.#takeTurn());
    this.#keeper = createLeaseKeeper({ queue: settling, clock, logger, leaseMs: this.#leaseMs });
    this.#settler = createSettler({ queue: settling, logger, apartMs: () => pace?.apartMs ?? 0 });
    this.#runner = new AttemptRunner(options, this.#settler, (...settled) => this.#settled(...settled));
  }

  get running(): number {
    return this.#attempts.size;
  }

  async start(alive: readonly string[] = []): Promise<void> {
    this.resume();
    await this.reclaim(alive);
  }

  async reclaim(alive: readonly string[] = []): Promise<void> {
    const { queue, clock, owner } = this.#options;
    if (!this.#lanes.isOpen) return;
    try {
      await queue.reclaim({ now: clock.now(), owners: [owner, ...alive] });
      await this.#lookAtAll();
    } catch (error) {
      // The next sweep finds the same.
      this.#failed(error, 'the queue of asynchronous calls could not be read; it is tried again');
    }
  }

  resume(): void {
    this.#lanes.open();
  }

  poke(lanes?: Iterable<string>): void {
    if (!lanes) this.#track(this.#lookAtAll(), this.#asking);
    else for (const lane of lanes) this.#lanes.setDue(this.#lanes.of(lane));
  }

  changed(name: string): void {
    const lane = this.#lanes.find(name);
    lane?.forget();
    if (lane) this.#lanes.setDue(lane);
  }

  abort(id: string, message: string): boolean {
    return this.#attempts.get(id)?.stop({ kind: 'cancelled', message }) === true;
  }

  async sweep(): Promise<void> {
    const { queue, clock } = this.#options;
    // The queue may be another server's by now.
    if (!this.#lanes.isOpen) return;
    try {
      const now = clock.now();
      // Ours first and by the same clock: after a jump of the clock they would seem to have run out.
      if (await this.#keeper.extendAll(now)) this.poke(await queue.reclaim({ now }));
      for (const lane of await this.#lookAtAll()) await this.#giveUpExpired(lane);
    } catch (error) {
      this.#failed(error, 'the queue of asynchronous calls could not be looked through; it is tried again');
    }
    this.#lanes.tidy();
  }

  async stop(): Promise<void> {
    this.#lanes.close();
    // What is leased meanwhile is given back.
    await Promise.all(this.#asking);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    for (const attempt of this.#attempts.values()) attempt.stop({ kind: 'returned' });
    while (this.#work.size > 0) await Promise.all(this.#work);
    this.#keeper[Symbol.dispose]();
  }

  /** Looks at every lane there is, and returns those with something in them. */
  async #lookAtAll(): Promise<readonly string[]> {
    const lanes = (await this.#options.queue.lanes()).filter(({ queued }) => queued > 0);
    for (const { lane, nextAt } of lanes) this.#lanes.expect(this.#lanes.of(lane), nextAt);
    return lanes.map(({ lane }) => lane);
  }

  /** Gives up what is too old in a lane and does not come up by itself, because it waits for its key or its moment. */
  async #giveUpExpired(name: string): Promise<void> {
    const { queue, clock } = this.#options;
    const lane = this.#lanes.of(name);
    if (clock.monotonic() < lane.freshUntilMs) return;
    for (;;) {
      const request = this.#request(name, EXPIRE_AT_ONCE);
      const { leases, nextAt = Infinity } = await queue.lease({ ...request, expired: true });
      lane.freshUntilMs = clock.monotonic() + Math.min(FRESH_MS, nextAt - request.now);
      if (leases.length === 0) return;
      const heldUntilMs = this.#options.clock.monotonic() + this.#leaseMs;
      await Promise.all(leases.map((lease) => this.#runner.expire(lease, heldUntilMs)));
    }
  }

  #request(lane: string, max: number) {
    const now = this.#options.clock.now();
    return { lane, max, now, untilAt: now + this.#leaseMs, owner: this.#options.owner };
  }

  /** Shares the free places out and asks the queue for work for them. */
  #takeTurn(): void {
    const { clock, roomOf, pace, maxRunning = MAX_RUNNING } = this.#options;
    const nowMs = clock.monotonic();
    const demands: LaneDemand[] = [];
    for (const lane of this.#lanes.due) {
      const demand = lane.demand(roomOf(lane.of), nowMs);
      if (demand.wants > 0) demands.push(demand);
      // Instances may have come by then, whose calls end much later.
      else this.#lanes.wakeIn(Math.max(ROOM_MS, lane.heldUntilMs - nowMs));
    }
    if (demands.length === 0) return;
    this.#turn += 1;
    const allowance = pace?.allowance ?? Infinity;
    if (allowance < demands.reduce((all, { wants }) => all + wants, 0)) this.#lanes.wakeIn(PACE_MS);
    for (const [name, places] of decideTurns(demands, Math.min(maxRunning - this.#running, allowance))) {
      pace?.spend(places);
      const lane = this.#lanes.of(name);
      lane.servedAt = this.#turn;
      this.#track(this.#ask(lane, places), this.#asking);
    }
  }

  /** Leases work of a lane for so many places and begins with it. */
  async #ask(lane: DispatchLane, places: number): Promise<void> {
    const { queue, clock } = this.#options;
    lane.isAsking = true;
    this.#lanes.setAsked(lane);
    this.#occupy(lane, places);
    const request = this.#request(lane.lane, places);
    const heldUntilMs = clock.monotonic() + this.#leaseMs;
    const leased = await queue.lease(request).catch((error: unknown) => {
      this.#failed(error, 'asynchronous calls could not be leased; it is tried again');
      return undefined;
    });
    if (leased) this.#isFailing = false;
    lane.isAsking = false;
    const leases = leased?.leases ?? [];
    this.#occupy(lane, leases.length - places);
    this.#options.pace?.spend(leases.length - places);
    if (leases.length === places) this.#lanes.setDue(lane);
    else this.#lanes.expect(lane, leased ? leased.nextAt : clock.now() + AGAIN_MS);
    // It may have become due while it was asked.
    if (lane.isDue) this.#lanes.soon();
    if (leases.length > 0) await this.#begin(lane, leases, heldUntilMs, request.now);
  }

  async #begin(lane: DispatchLane, leases: readonly Lease[], heldUntilMs: number, leasedAt: number): Promise<void> {
    const attempts = leases.map((lease) => new RunningAttempt(lease, heldUntilMs));
    for (const attempt of attempts) {
      this.#attempts.set(attempt.lease.record.id, attempt);
      this.#keeper.add(attempt);
    }
    const { clock } = this.#options;
    // The clock jumped while the queue was asked: the leases may seem to have run out already.
    if (Math.abs(clock.now() - leasedAt) > this.#leaseMs / 3) await this.#keeper.extendAll(clock.now());
    for (const [i, attempt] of attempts.entries()) {
      if (i > 0 && i % BEGIN_AT_ONCE === 0) await nextTurn();
      this.#track(this.#run(lane, attempt), this.#work);
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
      if (lane.isDue) this.#lanes.soon();
    };
    try {
      if (record.expiresAt <= clock.now() && !attempt.stopped) {
        await this.#runner.expire(lease, attempt.heldUntilMs);
        return;
      }
      // Nothing has begun yet: it is as if it had not been leased.
      if (!this.#lanes.isOpen || attempt.stopped?.kind === 'returned') {
        await this.#runner.giveBack(attempt);
        return;
      }
      const delivered = await this.#runner.deliver(lease, attempt.signal);
      attempt.isEnded = true;
      const sign = classifyLaneSign(delivered);
      if (sign) lane.learn(sign, clock.monotonic());
      if (this.#settler.pending < MAX_UNSETTLED) free();
      if (attempt.stopped?.kind !== 'lost') await this.#runner.settle(attempt, delivered);
    } finally {
      free();
      this.#keeper.remove(attempt);
      if (this.#attempts.get(record.id) === attempt) this.#attempts.delete(record.id);
    }
  }

  #settled({ id, rules, lane, target }: QueueRecord, next: Settlement['next'], follow: readonly NewItem[]): void {
    this.#options.onSettled?.(next.kind, target);
    for (const item of follow) this.#lanes.setDue(this.#lanes.of(item.lane));
    // Whoever waited for the key may begin now.
    if (rules) this.#lanes.setDue(this.#lanes.of(lane));
    if (next.kind === 'retry') this.#lanes.expect(this.#lanes.of(lane), next.at);
    else this.#options.onEnded?.(id);
  }

  /** Says that the queue fails, once until it works again. */
  #failed(error: unknown, message: string): void {
    if (!this.#isFailing) this.#options.logger.error({ err: error }, message);
    this.#isFailing = true;
  }

  #occupy(lane: DispatchLane, places: number): void {
    lane.running += places;
    this.#running += places;
    // Somebody may have waited for a place.
    if (places < 0) this.#lanes.soon();
  }

  #track(work: Promise<unknown>, among: Set<Promise<void>>): void {
    const ended: Promise<void> = work.then(noted, (error: unknown) => {
      this.#options.logger.error({ err: error }, 'delivering asynchronous calls met a defect');
    });
    among.add(ended);
    void ended.then(() => among.delete(ended));
  }
}

function noted(): void {}
