import type { KeepAlive } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import type { InstanceStats } from '../engines/engine.ts';
import type { Reservations } from '../pool/call-limits.ts';
import { AgeLog } from './age-log.ts';
import { CpuSampler } from './cpu-sampler.ts';
import { HostRoom } from './host-room.ts';
import { KEEP_ALIVE_POLICIES } from './keep-alive/policies.ts';
import type { Scalable } from './scalable.ts';
import { type HostScaling, VersionScaler } from './version-scaler.ts';

/** How often the CPU use of instances is asked for, where a function scales by it. */
const CPU_EVERY_MS = 5_000;
/** A decision for calls that wait is put off until no more have come for this long, in milliseconds, ... */
const GATHER_QUIET_MS = 1;
/** ... but no longer than this. */
const GATHER_AT_MOST_MS = 10;
/** How soon it is looked again whether others have made room. */
const LOOK_AGAIN_MS = 25;
/** The usage of a function that was not called for this long is forgotten. */
const FORGET_MS = 48 * 3_600_000;
const FORGET_EVERY_MS = 3_600_000;

/** What a {@link ScaleLoop} is made with. */
export interface ScaleLoopOptions {
  /** Every version with instances or waiting requests. */
  readonly all: () => Iterable<Scalable>;
  /** Most instances on this host, over all versions. */
  readonly maxInstances: number;
  /** Most memory of all instances on this host together, by their limits; absent for no bound. */
  readonly memoryBudgetBytes?: number | undefined;
  /** How long idle instances are kept where a function does not say, and who makes room. Default: fixed. */
  readonly keepAlive?: KeepAlive;
  /** Time between two looks at what is idle, in milliseconds. */
  readonly everyMs: number;
  readonly clock: Clock;
  /** What an instance uses now; for functions that scale by CPU. */
  readonly stats: (id: string) => Promise<InstanceStats>;
  /** What is kept for functions and namespaces. Default: nothing. */
  readonly reservations?: () => Reservations;
  /** Time between two measurements of the CPU, in milliseconds. Default: 5000. */
  readonly cpuEveryMs?: number;
}

/** Decides the size of every version and carries it out: at once where a request waits, else regularly. */
export class ScaleLoop implements Disposable {
  #options: ScaleLoopOptions;
  readonly #host: HostScaling & { memoryBudgetBytes?: number | undefined };
  readonly #room: HostRoom;
  /** The versions that are about to be decided, each with how many of its calls waited when it was last looked at. */
  readonly #poked = new Map<Scalable, { readonly sinceMs: number; waiting: number }>();
  readonly #scalers = new WeakMap<Scalable, VersionScaler>();
  readonly #samplers = new WeakMap<Scalable, CpuSampler>();
  readonly #lacking = new Set<Scalable>();
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(options: ScaleLoopOptions) {
    const { memoryBudgetBytes, everyMs } = options;
    this.#options = options;
    this.#host = { memoryBudgetBytes, everyMs, usages: new Map(), ages: new AgeLog() };
    this.#room = new HostRoom({
      ...options,
      ages: this.#host.ages,
      scalerOf: (scalable) => this.#scalerOf(scalable),
      reservations: options.reservations ?? (() => ({ functions: [], namespaces: new Map() })),
    });
  }

  start(): void {
    const { everyMs, cpuEveryMs = CPU_EVERY_MS } = this.#options;
    this.#every(everyMs, () => {
      for (const scalable of this.#options.all()) {
        const scaler = this.#scalerOf(scalable);
        if (scaler.isAtRest) scaler.rest();
        else this.#apply(scaler);
      }
    });
    this.#every(cpuEveryMs, () => {
      for (const scalable of this.#options.all()) {
        if (scalable.version.limits.scaling.mode === 'cpu' && scalable.ready > 0) void this.#sampleCpu(scalable);
      }
    });
    this.#every(FORGET_EVERY_MS, () => this.#forget());
  }

  /** Sets the bounds of the host anew; what is above them goes as it becomes idle. */
  rebound(bounds: Pick<ScaleLoopOptions, 'maxInstances' | 'memoryBudgetBytes'>): void {
    this.#options = { ...this.#options, ...bounds };
    this.#host.memoryBudgetBytes = bounds.memoryBudgetBytes;
    this.#room.rebound(bounds);
  }

  /**
   * Has one version decided soon: misses that come together are one decision (S3), though the sockets they come by
   * are read in several turns of the event loop.
   */
  poke(scalable: Scalable): void {
    if (this.#poked.has(scalable)) return;
    this.#poked.set(scalable, { sinceMs: this.#options.clock.monotonic(), waiting: scalable.waiting });
    this.#gatherSoon(scalable);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #every(ms: number, act: () => void): void {
    this.#timers.push(setInterval(act, ms).unref());
  }

  #gatherSoon(scalable: Scalable): void {
    // Timers come before what was read from the sockets in the same turn; what is decided is the state after it.
    setTimeout(() => setImmediate(() => this.#gather(scalable)), GATHER_QUIET_MS).unref();
  }

  /** Decides a version that was poked, unless more calls came since it was last looked at. */
  #gather(scalable: Scalable): void {
    const poked = this.#poked.get(scalable);
    if (!poked) return;
    const { waiting } = scalable;
    if (waiting > poked.waiting && this.#options.clock.monotonic() - poked.sinceMs < GATHER_AT_MOST_MS) {
      poked.waiting = waiting;
      this.#gatherSoon(scalable);
      return;
    }
    this.#poked.delete(scalable);
    this.#apply(this.#scalerOf(scalable));
  }

  #scalerOf(scalable: Scalable): VersionScaler {
    const existing = this.#scalers.get(scalable);
    if (existing) return existing;
    const { keepAlive = 'fixed' } = this.#options;
    const own = scalable.version.limits.scaling.keepAlive ?? keepAlive;
    // A history costs memory and time, so it is kept only where somebody reads it.
    const followsUsage = own !== 'fixed' || keepAlive !== 'fixed';
    const scaler = new VersionScaler(scalable, this.#host, KEEP_ALIVE_POLICIES[own], followsUsage);
    this.#scalers.set(scalable, scaler);
    return scaler;
  }

  #apply(scaler: VersionScaler): void {
    const { clock } = this.#options;
    const { scalable } = scaler;
    const now = clock.monotonic();
    const decision = scaler.decide(now, clock.now());
    if (decision.kind === 'hold') return;
    const { ready, starting } = scalable;
    const have = ready + starting;
    const desired = decision.desired > have ? this.#allowed(scalable, have, decision.desired) : decision.desired;
    if (desired === have) return;
    scalable.scaleTo(desired, { floor: decision.floor, reason: decision.reason });
    const started = Math.max(0, scalable.starting - starting);
    scaler.applied({ started, stopped: Math.max(0, ready - scalable.ready) }, now);
  }

  /** How many of the instances a version is to have the host lets it have now. */
  #allowed(scalable: Scalable, have: number, desired: number): number {
    // What was given up counts until it has ended (E3).
    const wanted = Math.min(desired, Math.max(have, scalable.version.limits.scaleMax - scalable.releasing)) - have;
    const room = wanted > 0 ? this.#room.roomFor(scalable, wanted) : 0;
    if (have + room < desired && scalable.waiting > 0) this.#lookAgain(scalable);
    return have + room;
  }

  /** A call that waits until others have made room should not wait for the next regular look as well. */
  #lookAgain(scalable: Scalable): void {
    if (this.#lacking.has(scalable)) return;
    this.#lacking.add(scalable);
    setTimeout(() => {
      this.#lacking.delete(scalable);
      if (scalable.waiting > 0) this.poke(scalable);
    }, LOOK_AGAIN_MS).unref();
  }

  async #sampleCpu(scalable: Scalable): Promise<void> {
    const { clock, stats } = this.#options;
    const sampler = this.#samplers.get(scalable) ?? new CpuSampler(stats);
    this.#samplers.set(scalable, sampler);
    const sample = await sampler.sample(scalable, () => clock.monotonic());
    if (sample) this.#scalerOf(scalable).windows.add(sample.cores, sample.overMs, clock.monotonic());
  }

  #forget(): void {
    const before = this.#options.clock.monotonic() - FORGET_MS;
    for (const [key, { lastActiveAt = 0 }] of this.#host.usages)
      if (lastActiveAt < before) this.#host.usages.delete(key);
  }
}
