import { callsPerInstance, type ScalingResource, type StartReport } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import type { Version } from '../core/ports.ts';
import type { Admission } from './admission.ts';
import type { PoolMembers } from './pool-members.ts';
import type { Standby } from './standby.ts';
import type { VersionStarter } from './version-starter.ts';

/** A start this soon after an instance was lost is in its place. */
const REPLACED_WITHIN_MS = 1_000;

/** Why a pool was given its size. */
export interface ScaleReason {
  /** Of the size, the instances that are wanted whatever the load is when they start. */
  readonly floor: number;
  /** In words, for people. */
  readonly reason: string;
}

/** What a {@link PoolSize} is made with. */
export interface PoolSizeOptions {
  readonly version: Version;
  readonly clock: Clock;
  readonly admission: Pick<Admission, 'inFlight' | 'waiting'>;
  readonly members: PoolMembers;
  readonly starter: VersionStarter;
  readonly standby: Standby;
  /** Whether the version serves no new requests, so that its minimum holds no more. */
  readonly isOver: () => boolean;
  /** Fewest instances without traffic. */
  readonly minimum: () => number;
}

/** Makes the number of one version's instances what was decided, and knows why each start is. */
export class PoolSize {
  readonly #options: PoolSizeOptions;
  /** When an instance was lost that no start has replaced yet, monotonic milliseconds. */
  #lostAtMs = -Infinity;
  #desired = 0;
  #floor = 0;
  #scaling: ScalingResource | undefined;

  constructor(options: PoolSizeOptions) {
    this.#options = options;
  }

  /** The last change that was decided. */
  get scaling(): ScalingResource | undefined {
    return this.#scaling;
  }

  /** Goes towards `desired`: starts what lacks, stops the longest idle (S2). */
  scaleTo(desired: number, { floor, reason }: ScaleReason): void {
    const { clock, members, starter, standby } = this.#options;
    this.#desired = desired;
    this.#floor = floor;
    this.#scaling = { desired, reason, at: new Date(clock.now()).toISOString() };
    const have = members.ready + starter.starting;
    if (desired > have) {
      if (starter.held) return;
      if (starter.isSuspect && starter.starting > 0) return;
      for (let lacking = starter.isSuspect ? 1 : desired - have; lacking > 0; lacking -= 1) {
        void starter.startIf(() => this.#isLacking(), this.#cause());
      }
      return;
    }
    for (const member of standby.dispensable().slice(0, have - desired)) members.drain(member);
  }

  /**
   * Gives up `count` instances that others have a right to, though calls may wait for them: those with the fewest
   * requests. They take no more and are stopped when they hold none (S2).
   */
  giveUp(count: number, reason: string): void {
    const { clock, members, starter } = this.#options;
    this.#desired = Math.max(0, members.ready + starter.starting - count);
    this.#floor = 0;
    this.#scaling = { desired: this.#desired, reason, at: new Date(clock.now()).toISOString() };
    // What has not begun to start sees at its turn that it is not wanted.
    const serving = [...members.all()]
      .filter(({ state }) => state === 'ready')
      .toSorted((left, right) => left.endpoint.inFlight - right.endpoint.inFlight);
    for (const member of serving.slice(0, Math.max(0, count - starter.starting))) members.drain(member);
  }

  /** Takes note of an instance that ended unasked: the next start is in its place. */
  lost(): void {
    this.#lostAtMs = this.#options.clock.monotonic();
  }

  /** Why the start that is decided now is. */
  #cause(): StartReport['cause'] {
    const { clock, admission, members, starter } = this.#options;
    if (clock.monotonic() - this.#lostAtMs < REPLACED_WITHIN_MS) {
      this.#lostAtMs = -Infinity;
      return 'replaced';
    }
    if (admission.inFlight + admission.waiting === 0) return 'minimum';
    return members.ready + starter.starting === 0 ? 'scale-from-zero' : 'burst';
  }

  /** Whether one of the starts under way is still needed to bear the load. */
  #isLacking(): boolean {
    const { version, admission, members, starter, isOver, minimum } = this.#options;
    const { limits } = version;
    const load = admission.inFlight + admission.waiting;
    const floor = isOver() ? 0 : Math.max(minimum(), this.#floor);
    const wanted = Math.min(this.#desired, Math.max(floor, Math.ceil(load / callsPerInstance(limits))));
    return wanted > members.ready + starter.starting - 1;
  }
}
