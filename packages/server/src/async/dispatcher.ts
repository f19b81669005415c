import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Lease, NewItem, Queue, QueueRecord, Settlement } from '../store/queue.ts';
import { AttemptRunner, type AttemptRunnerOptions } from './attempt-runner.ts';
import { classifyLaneSign } from './classify-lane-sign.ts';
import type { LaneRoom } from './decide-lane-limit.ts';
import { decideTurns, type LaneDemand } from './decide-turns.ts';
import { DispatchLane } from './dispatch-lane.ts';
import { type LaneName, parseLane } from './lane-name.ts';
import { createLeaseKeeper } from './lease-keeper.ts';
import type { Pace } from './pace.ts';
import { RunningAttempt } from './running-attempt.ts';
import { createSettler } from './settler.ts';
import type { Settling } from './settling.ts';

/** A lease lasts so long unless it is extended. */
const LEASE_MS = 30_000;
/** Attempts at once, over all lanes. */
const MAX_RUNNING = 2_000;
/** The wall clock is looked at this often while something waits for a moment: it may jump. */
const LOOK_EVERY_MS = 1_000;
/** With nothing left of the pace it is asked again so soon. */
const PACE_MS = 10;
/** Attempts that begin in one turn of the event loop, so that calls from outside get theirs. */
const BEGIN_AT_ONCE = 8;
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
  /** Default: 30 seconds. */
  readonly leaseMs?: number;
  /** How fast attempts may begin. Default: as fast as can be. */
  readonly pace?: Pick<Pace, 'allowance' | 'spend'>;
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
  readonly #lanes = new Map<string, DispatchLane>();
  readonly #due = new Set<DispatchLane>();
  readonly #attempts = new Map<string, RunningAttempt>();
  /** What was leased, until its outcome is on disk. */
  readonly #work = new Set<Promise<void>>();
  readonly #keeper;
  readonly #settler;
  readonly #runner;
  #isLeasing = false;
  #hasTurn = false;
  #turn = 0;
  #wake: { readonly timer: NodeJS.Timeout; readonly atMs: number } | undefined;
  /** Questions to the queue under way. */
  readonly #asking = new Set<Promise<void>>();
  /** Places taken over all lanes. */
  #running = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    const { settling, clock, logger } = options;
    this.#keeper = createLeaseKeeper({ queue: settling, clock, logger, leaseMs: this.#leaseMs });
    this.#settler = createSettler({ queue: settling, logger });
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
    const { queue, clock, owner, logger } = this.#options;
    if (!this.#isLeasing) return;
    try {
      await queue.reclaim({ now: clock.now(), owners: [owner, ...alive] });
      await this.#lookAtAll();
    } catch (error) {
      // The next sweep finds the same.
      logger.error({ err: error }, 'the queue of asynchronous calls could not be read; it is tried again');
    }
  }

  resume(): void {
    this.#isLeasing = true;
    this.#wakeUp();
  }

  poke(lanes?: Iterable<string>): void {
    if (!lanes) this.#track(this.#lookAtAll(), this.#asking);
    else for (const lane of lanes) this.#setDue(this.#laneOf(lane));
  }

  changed(name: string): void {
    const lane = this.#lanes.get(name);
    lane?.forget();
    if (lane) this.#setDue(lane);
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
      for (const lane of await this.#lookAtAll()) await this.#giveUpExpired(lane);
    } catch (error) {
      logger.error({ err: error }, 'the queue of asynchronous calls could not be looked through; it is tried again');
    }
    const nowMs = clock.monotonic();
    for (const [name, lane] of this.#lanes) if (lane.isIdle(nowMs)) this.#lanes.delete(name);
  }

  async stop(): Promise<void> {
    this.#isLeasing = false;
    clearTimeout(this.#wake?.timer);
    this.#wake = undefined;
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
    for (const { lane, nextAt } of lanes) this.#expect(this.#laneOf(lane), nextAt);
    return lanes.map(({ lane }) => lane);
  }

  async #giveUpExpired(lane: string): Promise<void> {
    const { queue } = this.#options;
    for (;;) {
      const request = this.#request(lane, BEGIN_AT_ONCE * BEGIN_AT_ONCE);
      const { leases } = await queue.lease({ ...request, expired: true });
      if (leases.length === 0) return;
      const heldUntilMs = this.#options.clock.monotonic() + this.#leaseMs;
      await Promise.all(leases.map((lease) => this.#runner.expire(lease, heldUntilMs)));
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
    this.#wakeIn(at - this.#options.clock.now());
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
    const { clock, roomOf, pace, maxRunning = MAX_RUNNING } = this.#options;
    const nowMs = clock.monotonic();
    const demands: LaneDemand[] = [];
    for (const lane of this.#due) {
      const demand = lane.demand(roomOf(lane.of), nowMs);
      if (demand.wants > 0) demands.push(demand);
      else if (lane.heldUntilMs > nowMs) this.#wakeIn(lane.heldUntilMs - nowMs);
    }
    if (demands.length === 0) return;
    this.#turn += 1;
    const allowance = pace?.allowance ?? Infinity;
    if (allowance < 1) this.#wakeIn(PACE_MS);
    for (const [name, places] of decideTurns(demands, Math.min(maxRunning - this.#running, allowance))) {
      pace?.spend(places);
      const lane = this.#laneOf(name);
      lane.servedAt = this.#turn;
      this.#track(this.#ask(lane, places), this.#asking);
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
    const leased = await queue.lease(request).catch((error: unknown) => {
      logger.error({ err: error }, 'asynchronous calls could not be leased; it is tried again');
      return undefined;
    });
    lane.isAsking = false;
    const leases = leased?.leases ?? [];
    this.#occupy(lane, leases.length - places);
    this.#options.pace?.spend(leases.length - places);
    lane.nextAt = undefined;
    if (leases.length === places) this.#setDue(lane);
    else this.#expect(lane, leased ? leased.nextAt : clock.now() + AGAIN_MS);
    // It may have become due while it was asked.
    if (lane.isDue) this.#soon();
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
      if (lane.isDue) this.#soon();
    };
    try {
      if (record.expiresAt <= clock.now() && !attempt.stopped) {
        await this.#runner.expire(lease, attempt.heldUntilMs);
        return;
      }
      // Nothing has begun yet: it is as if it had not been leased.
      if (!this.#isLeasing || attempt.stopped?.kind === 'returned') {
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

  #settled({ id, rules, lane }: QueueRecord, next: Settlement['next'], follow: readonly NewItem[]): void {
    for (const item of follow) this.#setDue(this.#laneOf(item.lane));
    // Whoever waited for the key may begin now.
    if (rules) this.#setDue(this.#laneOf(lane));
    if (next.kind === 'retry') this.#expect(this.#laneOf(lane), next.at);
    else this.#options.onEnded?.(id);
  }

  #occupy(lane: DispatchLane, places: number): void {
    lane.running += places;
    this.#running += places;
    // Somebody may have waited for a place.
    if (places < 0 && this.#due.size > 0) this.#soon();
  }

  #track(work: Promise<unknown>, among: Set<Promise<void>>): void {
    const ended: Promise<void> = work.then(noted, (error: unknown) => {
      this.#options.logger.error({ err: error }, 'delivering asynchronous calls met a defect');
    });
    among.add(ended);
    void ended.then(() => among.delete(ended));
  }

  /** Looks again after a while, or after a second: by then the clock may have jumped. */
  #wakeIn(ms: number): void {
    if (!this.#isLeasing) return;
    const waitMs = Math.max(1, Math.min(ms, LOOK_EVERY_MS));
    const atMs = performance.now() + waitMs;
    if (this.#wake && this.#wake.atMs <= atMs) return;
    clearTimeout(this.#wake?.timer);
    this.#wake = { timer: setTimeout(() => this.#wakeUp(), waitMs).unref(), atMs };
  }

  #wakeUp(): void {
    this.#wake = undefined;
    const now = this.#options.clock.now();
    let nextAt = Infinity;
    for (const lane of this.#lanes.values()) {
      if (lane.nextAt === undefined) continue;
      if (lane.nextAt > now) nextAt = Math.min(nextAt, lane.nextAt);
      else {
        lane.nextAt = undefined;
        this.#setDue(lane);
      }
    }
    this.#soon();
    if (nextAt !== Infinity) this.#wakeIn(nextAt - now);
  }
}

function noted(): void {}
