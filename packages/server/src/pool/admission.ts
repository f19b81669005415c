import type { WaitReport } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type { Ending } from './ending.ts';
import type { Endpoint } from './endpoint.ts';
import { Fifo } from './fifo.ts';
import { pickEndpoint } from './pick-endpoint.ts';
import { waitInLine, type Waiter } from './wait-in-line.ts';

/**
 * How an instance let a request down: `hard` refused the connection, `full` did not take it in time, `broken` cut it,
 * `silent` answers nothing at all, `soft` did not answer well or in time.
 */
export type SlotFailure = 'hard' | 'full' | 'broken' | 'silent' | 'soft';

/** Who is served first: somebody waits for the answer of a `first` call; a `later` one has time. */
export type Standing = 'first' | 'later';

/** The wait of a call that came when every instance had work. */
export const BUSY_WAIT: WaitReport = { cause: 'busy' };

/** The right to send one request to one instance (G1). Released exactly once; a second release does nothing. */
export class Slot {
  readonly endpoint: Endpoint;
  /** What the request waited for; undefined when the slot was free. */
  readonly wait: WaitReport | undefined;
  readonly #admission: Admission;
  #held = true;

  constructor(endpoint: Endpoint, admission: Admission, wait?: WaitReport) {
    this.endpoint = endpoint;
    this.wait = wait;
    this.#admission = admission;
  }

  /** Gives the slot back after the last byte, or when nobody wants the answer any more: that says nothing of the instance. */
  release(went: 'well' | 'unknown' = 'well'): void {
    if (!this.#held) return;
    this.#held = false;
    if (went === 'well') {
      this.endpoint.failuresInRow = 0;
      this.endpoint.hasServed = true;
    }
    this.#admission.returned(this.endpoint);
  }

  /** Gives the slot back and says that the instance failed. */
  fail(kind: SlotFailure): void {
    if (!this.#held) return;
    this.#held = false;
    // What has all its connections taken by others is not to blame.
    if (kind !== 'full') this.endpoint.failuresInRow += 1;
    // First, so that the slot is not given to the next one who waits.
    this.#admission.reportFailure(this.endpoint, kind);
    this.#admission.returned(this.endpoint);
  }

  /** What became of the instance that let the request down; undefined when that is not known. */
  async ending(callId: string): Promise<Ending | undefined> {
    return this.#admission.ending(this.endpoint, callId);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** The default of `queue.length`. */
const CATCH_UP_LENGTH = 1_000;

/** What an {@link Admission} is made with. */
export interface AdmissionOptions {
  /** Shown in errors: `name.namespace`. */
  readonly label: string;
  /** Most requests waiting at once; those who wait for instances that may yet be started are not too many. */
  readonly queueLength: number;
  /** Requests an instance takes at once. */
  readonly concurrency: number;
  /** Most instances of the version. */
  readonly maxInstances: number;
  /** Longest wait, in milliseconds. */
  readonly queueWaitMs: number;
  /**
   * Whether the version has just got calls of another one and may not have the instances yet: those who wait for these
   * are not too many either, up to the usual length of a line. Default: never.
   */
  readonly isCatchingUp?: () => boolean;
  /** Called when a request has to wait; never re-entrant into the admission. */
  readonly onDemand: () => void;
  /** Called after a slot came back; `idle` when its instance holds no other request. */
  readonly onReturned: (endpoint: Endpoint) => void;
  readonly onFailure: (endpoint: Endpoint, kind: SlotFailure) => void;
  /** Numbers from 0 up to 1, for the draw of {@link pickEndpoint}; Math.random unless given. */
  readonly random?: () => number;
  /** What became of an instance; see {@link Slot.ending}. */
  readonly ending?: (endpoint: Endpoint, callId: string) => Promise<Ending | undefined>;
}

/**
 * Admits requests to the instances of one version: a slot at once where one is free, else a place in a line that
 * is bounded in length and time. Requests are served in the order they came, those that have time after all others.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #waiting = new Fifo<Waiter<Slot>>();
  /** Served when nobody else waits. */
  readonly #later = new Fifo<Waiter<Slot>>();
  readonly #endpoints: Endpoint[] = [];
  readonly #random: () => number;
  #inFlight = 0;
  #cameLast = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  /** Requests that hold a slot. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests that wait for one. */
  get waiting(): number {
    return this.#waiting.length + this.#later.length;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /**
   * A slot now, or the promise of one. Rejects with QUEUE_FULL, NO_INSTANCE_IN_TIME, or with what
   * {@link rejectWaiting} says; with the signal's reason when it aborts.
   */
  acquire(signal?: AbortSignal, standing: Standing = 'first'): Slot | Promise<Slot> {
    return this.tryAcquire() ?? this.#wait(signal, standing);
  }

  /** A slot if one is free and nobody waits for it. */
  tryAcquire(): Slot | undefined {
    if (this.#waiting.length > 0) return undefined;
    const endpoint = this.#pick();
    return endpoint && this.#take(endpoint);
  }

  /** Adds an instance that is ready, and serves those who wait; `wait` says what for, where it was more than a turn. */
  add(endpoint: Endpoint, wait?: WaitReport): void {
    this.#endpoints.push(endpoint);
    this.#came(endpoint, wait);
    this.#serve();
  }

  /** Takes an instance out; requests it holds keep their slots. */
  remove(endpoint: Endpoint): void {
    const index = this.#endpoints.indexOf(endpoint);
    if (index !== -1) this.#endpoints.splice(index, 1);
  }

  /** Lets an instance that was set aside take requests again; `wait` as for {@link add}. */
  readmit(endpoint: Endpoint, wait?: WaitReport): void {
    endpoint.accepting = true;
    this.#came(endpoint, wait);
    this.#serve();
  }

  /** Fails everybody who waits. */
  rejectWaiting(error: EbbError): void {
    for (let waiter = this.#next(); waiter; waiter = this.#next()) waiter.reject(error);
  }

  /** For {@link Slot} alone. */
  returned(endpoint: Endpoint): void {
    this.#inFlight -= 1;
    endpoint.inFlight -= 1;
    if (this.waiting > 0) this.#serve();
    if (endpoint.inFlight === 0) this.#options.onReturned(endpoint);
  }

  /** For {@link Slot} alone. */
  reportFailure(endpoint: Endpoint, kind: SlotFailure): void {
    this.#options.onFailure(endpoint, kind);
  }

  /** For {@link Slot} alone. */
  async ending(endpoint: Endpoint, callId: string): Promise<Ending | undefined> {
    return this.#options.ending?.(endpoint, callId);
  }

  #take(endpoint: Endpoint, wait?: WaitReport): Slot {
    this.#inFlight += 1;
    endpoint.inFlight += 1;
    return new Slot(endpoint, this, wait);
  }

  #came(endpoint: Endpoint, wait: WaitReport | undefined): void {
    this.#cameLast += 1;
    endpoint.came = wait;
    endpoint.cameAt = this.#cameLast;
  }

  #pick(): Endpoint | undefined {
    return pickEndpoint(this.#endpoints, this.#inFlight, this.#random);
  }

  #serve(): void {
    while (this.waiting > 0) {
      const endpoint = this.#pick();
      if (!endpoint) return;
      const waiter = this.#next();
      // Who had to wait its turn after a start waited for that start as well.
      waiter?.resolve(this.#take(endpoint, endpoint.cameAt > waiter.after ? (endpoint.came ?? BUSY_WAIT) : BUSY_WAIT));
    }
  }

  #next(): Waiter<Slot> | undefined {
    return this.#waiting.shift() ?? this.#later.shift();
  }

  #wait(signal: AbortSignal | undefined, standing: Standing): Promise<Slot> {
    const { label, queueLength, queueWaitMs, concurrency, maxInstances } = this.#options;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const startable = concurrency * (maxInstances - this.#endpoints.length);
    // Those that have time are in nobody's way.
    const ahead = standing === 'first' ? this.#waiting.length : this.waiting;
    const isFull = ahead >= Math.max(queueLength, startable);
    if (isFull && (ahead >= CATCH_UP_LENGTH || this.#options.isCatchingUp?.() !== true)) {
      const message = `${label} is busy: ${ahead} calls wait already and "queue.length" is ${queueLength}`;
      return Promise.reject(new EbbError('QUEUE_FULL', message, { retryAfterSeconds: 1 }));
    }
    const options = { after: this.#cameLast, label, waitMs: queueWaitMs, signal };
    const waiting = waitInLine(standing === 'first' ? this.#waiting : this.#later, options);
    this.#options.onDemand();
    return waiting;
  }
}
