import type { FunctionResource, InstanceResource, ScalingResource, StartReport } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { AskedReplicas, Version } from '../core/ports.ts';
import type { Engine, Instance } from '../engines/engine.ts';
import { Admission, type Slot, type Standing } from './admission.ts';
import type { CallGate, CallLimits } from './call-limits.ts';
import { describeMembers } from './describe-members.ts';
import type { Endpoint } from './endpoint.ts';
import type { ExitWatch } from './exit-watch.ts';
import { Freezer, type FrozenInstance } from './freezer.ts';
import type { Launcher } from './launcher.ts';
import { minimumOf } from './minimum-of.ts';
import { PoolMembers } from './pool-members.ts';
import { PoolSize, type ScaleReason } from './pool-size.ts';
import { Standby } from './standby.ts';
import type { Started } from './start-history.ts';
import type { StartBudget } from './start-budget.ts';
import { VersionStarter } from './version-starter.ts';

/** What a {@link VersionPool} is made with. */
export interface VersionPoolOptions {
  readonly version: Version;
  readonly engine: Engine;
  readonly launcher: Launcher;
  readonly exits: ExitWatch;
  readonly budget: StartBudget;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How many calls there may be at once; counts the pool's from its making on. */
  readonly limits: CallLimits;
  /** Whether a version gets nothing but copies of calls; asked only where a limit holds. Default: none does. */
  readonly isShadow?: (version: Version) => boolean;
  /** Instances that were asked for in place of the least number that the spec says. Default: none were. */
  readonly replicas?: (version: Version) => AskedReplicas | undefined;
  /** Called when the size should be decided anew. */
  readonly onDemand: (pool: VersionPool) => void;
  /** Called when an instance has started and those who waited for it are served. */
  readonly onStarted: (started: Started) => void;
  /** Called when a pool that is retiring, or that no alias refers to, holds nothing any more. */
  readonly onEmpty: (pool: VersionPool) => void;
}

/**
 * The instances of one version and the requests to them. Never shared by two versions. It joins what admits requests,
 * starts instances, keeps them, freezes them and holds some ready, and makes their number what was decided.
 */
export class VersionPool {
  readonly version: Version;
  /** What is kept without work. */
  readonly standby: Standby;
  readonly #options: VersionPoolOptions;
  readonly #admission: Admission;
  readonly #members: PoolMembers;
  readonly #starter: VersionStarter;
  readonly #size: PoolSize;
  readonly #freezer: Freezer;
  readonly #gate: CallGate;
  readonly #closing = new AbortController();
  #arrivals = 0;
  #held = 0;
  #retiring = false;
  #isListed = true;
  /** Called when instances were given up for another server to take; absent while they are stopped instead. */
  #onReleased: (() => void) | undefined;
  #isReleasing = false;

  constructor(options: VersionPoolOptions) {
    const { version } = options;
    this.#options = options;
    this.version = version;
    this.#admission = new Admission({
      label: `${version.name}.${version.namespace}`,
      queueLength: version.limits.queueLength,
      queueWaitMs: version.limits.queueWaitMs,
      concurrency: version.limits.concurrency,
      maxInstances: version.limits.scaleMax,
      isCatchingUp: () => this.held > 0,
      onDemand: () => {
        this.#freezer.demand(this.waiting);
        options.onDemand(this);
      },
      onReturned: (endpoint) => this.#returned(endpoint),
      onFailure: (endpoint, kind) => this.#members.failed(endpoint, kind),
      ending: (endpoint, callId) => this.#members.ending(endpoint, callId),
    });
    const parts = { ...options, admission: this.#admission, closing: this.#closing.signal };
    this.#members = new PoolMembers({
      ...parts,
      isResting: (member) => this.#freezer.isFrozen(member),
      onLeaving: (member) => this.#freezer.forget(member),
      onCrashed: (error, livedMs) => this.#starter.crashed(error, livedMs),
      onLost: (how) => {
        if (how === 'ended') this.#size.lost();
        this.#tellHeld();
        // Others that are frozen count as there: one of them may be what those who wait need.
        this.#freezer.demand(this.waiting);
        options.onDemand(this);
      },
      onGone: () => this.#settle(),
    });
    this.#freezer = new Freezer({
      ...parts,
      reconnect: ({ launched, endpoint }) => this.#members.connect(launched, endpoint.idleSinceMs),
      onBroken: ({ launched }) => this.#members.lost(launched.instance.id, 'could not be thawed and is replaced'),
    });
    this.#starter = new VersionStarter({
      ...parts,
      onStarted: (launched) => this.#members.add(launched),
      onFailed: () => options.onDemand(this),
      onEnded: () => this.#startEnded(),
    });
    const isOver = () => this.#retiring || !this.#isListed;
    const joined = { ...parts, members: this.#members, starter: this.#starter, isOver };
    this.standby = new Standby(joined);
    this.#size = new PoolSize({ ...joined, standby: this.standby, minimum: () => this.minimum });
    this.#gate = options.limits.join(this);
  }

  get inFlight(): number {
    return this.#admission.inFlight;
  }

  get waiting(): number {
    return this.#admission.waiting;
  }

  get starting(): number {
    return this.#starter.starting;
  }

  /** Instances there are or will be, for the host's bound. */
  get size(): number {
    return this.#members.size + this.starting;
  }

  get ready(): number {
    return this.#members.ready;
  }

  /** See {@link PoolMembers.releasing}. */
  get releasing(): number {
    return this.#members.releasing;
  }

  /** Calls that asked for a slot since the pool was made. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** Asynchronous calls that were not begun yet, where somebody says so. */
  backlog = 0;

  /** Counts calls that were served without asking for a slot here: a gateway process had one on lease. */
  arrived(count: number): void {
    this.#arrivals += count;
  }

  /** See {@link VersionStarter.startMs}. */
  get startMs(): number | undefined {
    return this.#starter.startMs;
  }

  /** See {@link VersionStarter.counts}. */
  get starts(): { readonly made: number; readonly failed: number } {
    return this.#starter.counts;
  }

  /** Instances kept for calls that are about to come. */
  get held(): number {
    return this.#retiring ? 0 : this.#held;
  }

  /** Keeps so many instances for calls that are about to come, within the bounds of the version and the host; 0 ends it. */
  hold(count: number): void {
    if (count === this.#held) return;
    this.#held = count;
    if (count > 0) this.#options.onDemand(this);
  }

  /** The last change of its size that was decided. */
  get scaling(): ScalingResource | undefined {
    return this.#size.scaling;
  }

  /** Whether it only finishes what it has. */
  get retiring(): boolean {
    return this.#retiring;
  }

  /** Whether somebody scaled it to zero and no call has woken it since. */
  get isAtZero(): boolean {
    return this.#options.replicas?.(this.version)?.count === 0;
  }

  /** Fewest instances without traffic: what was asked for, else what the spec says. */
  get minimum(): number {
    if (!this.#isListed) return 0;
    const { version } = this;
    return minimumOf(version, this.#options.replicas?.(version), this.#options.clock.now());
  }

  /** Whether it gets nothing but copies of calls. */
  get isShadow(): boolean {
    return this.#options.isShadow?.(this.version) === true;
  }

  /**
   * Whether an alias refers to the version. One that is only called by its number has instances for its calls and as
   * long as they are kept idle, and no minimum, standby or schedule.
   */
  get isListed(): boolean {
    return this.#isListed;
  }

  /** Whether an instance is a member, in whatever state. */
  has(instanceId: string): boolean {
    return this.#members.find(instanceId) !== undefined;
  }

  /** A slot if one is free now. Throws FUNCTION_LIMIT or NAMESPACE_LIMIT when no more calls may come. */
  tryAcquire(): Slot | undefined {
    if (this.#gate.isLimited && !this.isShadow) this.#gate.check();
    const slot = this.#admission.tryAcquire();
    if (slot) this.#arrivals += 1;
    return slot;
  }

  /**
   * A slot, at once or when one is free; see {@link Admission.acquire}. While starts keep failing and none is under
   * way, it rejects with what the last one failed with. Throws as {@link tryAcquire} does.
   */
  acquire(signal?: AbortSignal, standing?: Standing): Slot | Promise<Slot> {
    if (this.#gate.isLimited && !this.isShadow) this.#gate.check();
    this.#arrivals += 1;
    if (this.#admission.endpoints.length === 0 && this.starting === 0) {
      const { held } = this.#starter;
      if (held) return Promise.reject(this.#starter.refusal(held));
    }
    return this.#admission.acquire(signal, standing);
  }

  /**
   * How long each ready instance without a request has had none, in milliseconds; frozen ones are among them. Those
   * that the standby keeps are not: they are never too many.
   */
  idleMs(): number[] {
    const now = this.#options.clock.monotonic();
    return this.standby.dispensable().map(({ endpoint }) => now - endpoint.idleSinceMs);
  }

  /** Freezes what was idle for long enough. */
  freezeIdle(): void {
    if (!this.#retiring) this.#freezer.freezeIdle(this.#members.all());
  }

  /** The frozen instances, and whether each is above what the version keeps. */
  frozen(): (FrozenInstance & { readonly isSpare: boolean })[] {
    const frozen = this.#freezer.frozen();
    if (frozen.length === 0) return [];
    const most = Math.max(0, this.ready - Math.max(this.minimum, this.held));
    const idle = this.standby.dispensable().slice(0, most);
    const spare = new Set(idle.map(({ launched }) => launched.instance.id));
    return frozen.map((instance) => ({ ...instance, isSpare: spare.has(instance.id) }));
  }

  /** Stops a frozen instance. */
  evict(instanceId: string): void {
    const member = this.#members.find(instanceId);
    if (member?.state === 'ready' && this.#freezer.isFrozen(member)) this.#members.drain(member);
  }

  /** See {@link PoolSize.scaleTo}. */
  scaleTo(desired: number, why: ScaleReason): void {
    this.#size.scaleTo(desired, why);
  }

  /** See {@link PoolSize.giveUp}. */
  giveUp(count: number, reason: string): void {
    this.#size.giveUp(count, reason);
  }

  /** Starts one instance now and keeps it. Throws what {@link Launcher.launch} throws. */
  startOne(cause: StartReport['cause'], signal?: AbortSignal): Promise<void> {
    return this.#starter.startOne(cause, signal);
  }

  /** Takes over an instance of an earlier server; one that does not answer is stopped. */
  adopt(instance: Instance): Promise<boolean> {
    return this.#starter.adopt(instance);
  }

  /** Serves no new version's requests any more: finishes what it has, then gives its instances up. */
  retire(): void {
    if (this.#retiring) return;
    this.#retiring = true;
    this.#options.onDemand(this);
    this.#settle();
  }

  /** Takes back that it retires: its version serves again. What is on its way out goes all the same. */
  revive(): void {
    this.#isListed = true;
    if (!this.#closing.signal.aborted) this.#retiring = false;
  }

  /** No alias refers to the version, which is called by its number; see {@link isListed}. */
  unlist(): void {
    this.#isListed = false;
    if (!this.#closing.signal.aborted) this.#retiring = false;
  }

  /**
   * Gives its instances to another server, each when it holds no request and none waits for one. Those who wait are
   * served here. A pool that was retired before stops its instances as it would have.
   */
  release(onReleased: () => void): void {
    if (this.#retiring) return;
    this.#onReleased = onReleased;
    this.retire();
  }

  /** Keeps its instances after all. */
  keep(): void {
    if (!this.#onReleased) return;
    this.#onReleased = undefined;
    this.#retiring = false;
  }

  /** Stops every instance at once, busy or not, and resolves when all have ended. Those who wait get DRAINING. */
  async close(): Promise<void> {
    this.#retiring = true;
    this.#closing.abort(new EbbError('DRAINING', 'the server is shutting down'));
    this.#admission.rejectWaiting(new EbbError('DRAINING', 'the server is shutting down', { retryAfterSeconds: 1 }));
    this.#members.drainAll();
    while (this.#members.leaving > 0 || this.starting > 0) {
      await this.#members.left();
      if (this.starting > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Why starts are held back and until when, if they are. */
  startsHeld(): FunctionResource['startsHeld'] {
    return this.#starter.describeHeld();
  }

  /** The instances as the API shows them. */
  instances(): InstanceResource[] {
    const { version } = this;
    const { engine } = this.#options;
    return describeMembers(this.#members.all(), { version, engine, freezer: this.#freezer });
  }

  #startEnded(): void {
    this.#tellHeld();
    this.#settle();
  }

  /** Those who wait are told of failing starts only when none that may help them is under way any more. */
  #tellHeld(): void {
    if (this.starting > 0 || this.ready > 0) return;
    const { held } = this.#starter;
    if (held) this.#admission.rejectWaiting(held.error);
  }

  #returned(endpoint: Endpoint): void {
    this.#members.returned(endpoint);
    if (this.#retiring) this.#settle();
  }

  #releaseIdle(onReleased: () => void): void {
    if (this.waiting > 0 || this.#isReleasing) return;
    // Each that goes calls for this again.
    this.#isReleasing = true;
    const before = this.#members.size;
    this.#members.releaseIdle();
    this.#isReleasing = false;
    if (this.#members.size < before) onReleased();
  }

  #settle(): void {
    if (!this.#retiring && this.#isListed) return;
    if (this.#retiring && this.#onReleased) this.#releaseIdle(this.#onReleased);
    else if (this.#retiring && this.inFlight === 0 && this.waiting === 0) this.#members.drainAll();
    // Starts that are held back stay so for the next call by number.
    const isHeld = !this.#retiring && this.#starter.held !== undefined;
    if (this.size === 0 && this.waiting === 0 && !isHeld) this.#options.onEmpty(this);
  }
}
