import { decideLaneLimit, laneLimit, type LaneRoom, type LaneSign, NEW_LANE } from './decide-lane-limit.ts';
import type { LaneDemand } from './decide-turns.ts';
import type { LaneName } from './lane-name.ts';

/** One lane as the dispatcher sees it: whether it has work, how much of it runs, and how much more may. */
export class DispatchLane {
  readonly lane: string;
  readonly of: LaneName;
  /** Attempts that run, and places asked for in the queue. */
  running = 0;
  /** Whether there may be something to lease now. */
  isDue = false;
  /** Whether the queue is being asked. */
  isAsking = false;
  /** When there may be something again, milliseconds since the Unix epoch. */
  nextAt: number | undefined;
  /** Until when nothing in it grows too old, as far as is known; monotonic milliseconds. */
  freshUntilMs = 0;
  /** Number of the turn in which it was served last. */
  servedAt = 0;
  #state = NEW_LANE;

  constructor(lane: string, of: LaneName) {
    this.lane = lane;
    this.of = of;
  }

  /** Until when nothing begins, monotonic milliseconds. */
  get heldUntilMs(): number {
    return this.#state.heldUntilMs;
  }

  /** What it could begin now. */
  demand(room: LaneRoom, nowMs: number): LaneDemand {
    const isReady = this.isDue && !this.isAsking && nowMs >= this.heldUntilMs;
    const wants = isReady ? Math.max(0, laneLimit(this.#state, room) - this.running) : 0;
    return { lane: this.lane, namespace: this.of.namespace, running: this.running, wants, servedAt: this.servedAt };
  }

  /** Learns from an attempt. */
  learn(sign: LaneSign, nowMs: number): void {
    this.#state = decideLaneLimit(this.#state, sign, this.running, nowMs);
  }

  /** Forgets what it has learnt. */
  forget(): void {
    this.#state = NEW_LANE;
  }

  /** Takes note that there may be something at a moment. */
  expect(at: number): void {
    this.nextAt = Math.min(this.nextAt ?? Infinity, at);
  }

  /** Whether nothing is known of it that a new one would not know. */
  isIdle(nowMs: number): boolean {
    const isPlain = this.#state.found === Infinity && this.heldUntilMs <= nowMs;
    return (
      !this.isDue &&
      !this.isAsking &&
      this.running === 0 &&
      this.nextAt === undefined &&
      isPlain &&
      this.freshUntilMs <= nowMs
    );
  }
}
