import type { Clock } from '../core/clock.ts';
import { DispatchLane } from './dispatch-lane.ts';
import { parseLane } from './lane-name.ts';

/** The wall clock is looked at this often while something waits for a moment: it may jump. */
const LOOK_EVERY_MS = 1_000;

/** The lanes a dispatcher knows: which have work now, and when the others may. Takes turns while it is open. */
export class LaneBook {
  readonly #lanes = new Map<string, DispatchLane>();
  readonly #due = new Set<DispatchLane>();
  readonly #clock: Clock;
  readonly #onTurn: () => void;
  #isOpen = false;
  #hasTurn = false;
  #wake: { readonly timer: NodeJS.Timeout; readonly atMs: number } | undefined;

  /** `onTurn` is called once for everything that became due in one turn of the event loop. */
  constructor(clock: Clock, onTurn: () => void) {
    this.#clock = clock;
    this.#onTurn = onTurn;
  }

  /** Whether turns are taken. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The lanes that may have something now. */
  get due(): Iterable<DispatchLane> {
    return this.#due;
  }

  open(): void {
    this.#isOpen = true;
    this.#wakeUp();
  }

  close(): void {
    this.#isOpen = false;
    clearTimeout(this.#wake?.timer);
    this.#wake = undefined;
  }

  /** The lane, if it is known. */
  find(name: string): DispatchLane | undefined {
    return this.#lanes.get(name);
  }

  /** The lane, known from now on. */
  of(name: string): DispatchLane {
    const known = this.#lanes.get(name);
    if (known) return known;
    const lane = new DispatchLane(name, parseLane(name));
    this.#lanes.set(name, lane);
    return lane;
  }

  /** There may be something in the lane now. */
  setDue(lane: DispatchLane): void {
    // What is in a queue waits for somebody who takes it.
    if (lane.of.kind === 'queue') return;
    lane.isDue = true;
    this.#due.add(lane);
    this.soon();
  }

  /** The queue is asked for what the lane has. */
  setAsked(lane: DispatchLane): void {
    lane.isDue = false;
    lane.nextAt = undefined;
    this.#due.delete(lane);
  }

  /** There may be something in the lane at a moment; undefined for never, as far as is known. */
  expect(lane: DispatchLane, at: number | undefined): void {
    if (at === undefined || lane.of.kind === 'queue') return;
    const waitMs = at - this.#clock.now();
    if (waitMs <= 0) {
      this.setDue(lane);
      return;
    }
    lane.expect(at);
    this.wakeIn(waitMs);
  }

  /** Takes a turn soon, if any lane is due. */
  soon(): void {
    if (this.#hasTurn || !this.#isOpen || this.#due.size === 0) return;
    this.#hasTurn = true;
    setImmediate(() => {
      this.#hasTurn = false;
      if (this.#isOpen) this.#onTurn();
    });
  }

  /** Looks again after a while, or after a second: by then the clock may have jumped. */
  wakeIn(ms: number): void {
    if (!this.#isOpen) return;
    const waitMs = Math.max(1, Math.min(ms, LOOK_EVERY_MS));
    const atMs = performance.now() + waitMs;
    if (this.#wake && this.#wake.atMs <= atMs) return;
    clearTimeout(this.#wake?.timer);
    this.#wake = { timer: setTimeout(() => this.#wakeUp(), waitMs).unref(), atMs };
  }

  /** Forgets lanes of which nothing is known. */
  tidy(): void {
    const nowMs = this.#clock.monotonic();
    for (const [name, lane] of this.#lanes) if (lane.isIdle(nowMs)) this.#lanes.delete(name);
  }

  #wakeUp(): void {
    this.#wake = undefined;
    const now = this.#clock.now();
    let nextAt = Infinity;
    for (const lane of this.#lanes.values()) {
      if (lane.nextAt === undefined) continue;
      if (lane.nextAt > now) nextAt = Math.min(nextAt, lane.nextAt);
      else {
        lane.nextAt = undefined;
        this.setDue(lane);
      }
    }
    this.soon();
    if (nextAt !== Infinity) this.wakeIn(nextAt - now);
  }
}
