import {
  type FunctionResource,
  type InstanceResource,
  type InstanceState,
  type ScalingResource,
  type StartReport,
  waitForStart,
} from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Version } from '../core/ports.ts';
import { describeExit } from '../engines/await-ready.ts';
import type { Engine, Instance, InstanceExit } from '../engines/engine.ts';
import { Admission, type Slot, type SlotFailure } from './admission.ts';
import { createEndpoint, type Endpoint } from './endpoint.ts';
import type { ExitWatch } from './exit-watch.ts';
import { Freezer, type FrozenInstance } from './freezer.ts';
import type { LaunchContext } from './launch-context.ts';
import type { Launched, Launcher } from './launcher.ts';
import type { Started } from './start-history.ts';
import type { StartBudget } from './start-budget.ts';
import { StartBackoff } from './start-backoff.ts';
import { type Member, stopMember } from './stop-member.ts';

/** An instance of an earlier server answers within this time, or is stopped. */
const ADOPT_MS = 2_000;
/** A start this soon after an instance was lost is in its place. */
const REPLACED_WITHIN_MS = 1_000;
/** An instance that failed this many requests in a row is replaced (it may be wedged). */
const FAILURES_IN_ROW = 3;

/** What a new start weighs in the mean time that starts take. */
const START_WEIGHT = 0.3;

/** Why a pool was given its size. */
export interface ScaleReason {
  /** Of the size, the instances that are wanted whatever the load is when they start. */
  readonly floor: number;
  /** In words, for people. */
  readonly reason: string;
}

/** What a {@link VersionPool} is made with. */
export interface VersionPoolOptions {
  readonly version: Version;
  readonly engine: Engine;
  readonly launcher: Launcher;
  readonly exits: ExitWatch;
  readonly budget: StartBudget;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when the size should be decided anew. */
  readonly onDemand: (pool: VersionPool) => void;
  /** Called when an instance has started and those who waited for it are served. */
  readonly onStarted: (started: Started) => void;
  /** Called when a retiring pool holds nothing any more. */
  readonly onEmpty: (pool: VersionPool) => void;
}

/** The instances of one version and the requests to them. Never shared by two versions. */
export class VersionPool {
  readonly version: Version;
  readonly #options: VersionPoolOptions;
  readonly #admission: Admission;
  readonly #members = new Map<string, Member>();
  readonly #stops = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #backoff = new StartBackoff();
  readonly #freezer: Freezer;
  #starting = 0;
  /** When an instance was lost that no start has replaced yet, monotonic milliseconds. */
  #lostAtMs = -Infinity;
  #desired = 0;
  #floor = 0;
  #arrivals = 0;
  #startMs: number | undefined;
  #scaling: ScalingResource | undefined;
  #retiring = false;

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
      onDemand: () => {
        this.#freezer.demand(this.waiting);
        options.onDemand(this);
      },
      onReturned: (endpoint) => this.#returned(endpoint),
      onFailure: (endpoint, kind) => this.#failed(endpoint, kind),
    });
    this.#freezer = new Freezer({
      ...options,
      admission: this.#admission,
      reconnect: ({ launched, endpoint }) => this.#connect(launched, endpoint.idleSinceMs),
      onBroken: ({ launched }) => this.lost(launched.instance.id, { outOfMemory: false }),
    });
  }

  get inFlight(): number {
    return this.#admission.inFlight;
  }

  get waiting(): number {
    return this.#admission.waiting;
  }

  get starting(): number {
    return this.#starting;
  }

  /** Instances there are or will be, for the host's bound. */
  get size(): number {
    return this.#members.size + this.#starting;
  }

  get ready(): number {
    let count = 0;
    for (const member of this.#members.values()) if (member.state === 'ready') count += 1;
    return count;
  }

  /** Calls that asked for a slot since the pool was made. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** Counts calls that were served without asking for a slot here: a gateway process had one on lease. */
  arrived(count: number): void {
    this.#arrivals += count;
  }

  /** How long instances took to start, in milliseconds, recent starts weighing most; undefined before the first. */
  get startMs(): number | undefined {
    return this.#startMs;
  }

  /** The last change of its size that was decided. */
  get scaling(): ScalingResource | undefined {
    return this.#scaling;
  }

  /** Whether it only finishes what it has. */
  get retiring(): boolean {
    return this.#retiring;
  }

  /** Whether an instance is a member, in whatever state. */
  has(instanceId: string): boolean {
    return this.#members.has(instanceId);
  }

  /** A slot if one is free now. */
  tryAcquire(): Slot | undefined {
    const slot = this.#admission.tryAcquire();
    if (slot) this.#arrivals += 1;
    return slot;
  }

  /**
   * A slot, at once or when one is free; see {@link Admission.acquire}. While starts keep failing and none is under
   * way, it rejects with START_FAILED or what the engine says.
   */
  acquire(signal?: AbortSignal): Slot | Promise<Slot> {
    this.#arrivals += 1;
    if (this.#admission.endpoints.length === 0 && this.#starting === 0) {
      const blocked = this.#backoff.blocked(this.#options.clock.monotonic());
      if (blocked) return Promise.reject(this.#startsKeepFailing(blocked));
    }
    return this.#admission.acquire(signal);
  }

  /**
   * How long each ready instance without a request has had none, in milliseconds; frozen ones are among them. Those
   * that the standby keeps are not: they are never too many.
   */
  idleMs(): number[] {
    const now = this.#options.clock.monotonic();
    return this.#dispensable().map(({ endpoint }) => now - endpoint.idleSinceMs);
  }

  /** Freezes what was idle for long enough. */
  freezeIdle(): void {
    if (!this.#retiring) this.#freezer.freezeIdle(this.#members.values());
  }

  /** The frozen instances, and whether each is above what the version keeps. */
  frozen(): (FrozenInstance & { readonly isSpare: boolean })[] {
    const frozen = this.#freezer.frozen();
    if (frozen.length === 0) return [];
    const most = Math.max(0, this.ready - this.version.limits.scaleMin);
    const spare = new Set(
      this.#dispensable()
        .slice(0, most)
        .map(({ launched }) => launched.instance.id),
    );
    return frozen.map((instance) => ({ ...instance, isSpare: spare.has(instance.id) }));
  }

  /** Stops a frozen instance. */
  evict(instanceId: string): void {
    const member = this.#members.get(instanceId);
    if (member?.state === 'ready' && this.#freezer.isFrozen(member)) this.#drain(member);
  }

  /** Instances missing in the standby that could be started. */
  get standbyLacking(): number {
    const { standby, scaleMax } = this.version.limits;
    if (standby === 0 || this.#retiring || this.#closing.signal.aborted) return 0;
    if (this.#backoff.blocked(this.#options.clock.monotonic())) return 0;
    const room = scaleMax - this.ready - this.#starting;
    return Math.max(0, Math.min(room, standby - this.#idle().length - this.#starting));
  }

  /** Instances of the standby without work. */
  get standbyIdle(): number {
    return this.version.limits.standby === 0 ? 0 : Math.min(this.version.limits.standby, this.#idle().length);
  }

  /** Stops the instance of the standby that was idle longest; others need its room. */
  giveStandbyUp(): void {
    const [member] = this.standbyIdle > 0 ? this.#idle() : [];
    if (member && this.waiting === 0) this.#drain(member);
  }

  /** Starts one instance for the standby. Never throws. */
  startStandby(): void {
    this.startOne('standby').catch((error: unknown) => this.#startFailed(asEbbError(error)));
  }

  /** Makes the number of instances go towards `desired`: starts what lacks, stops the longest idle (S2). */
  scaleTo(desired: number, { floor, reason }: ScaleReason): void {
    this.#desired = desired;
    this.#floor = floor;
    this.#scaling = { desired, reason, at: new Date(this.#options.clock.now()).toISOString() };
    const have = this.ready + this.#starting;
    if (desired > have) {
      if (this.#backoff.blocked(this.#options.clock.monotonic())) return;
      for (let lacking = desired - have; lacking > 0; lacking -= 1) void this.#startWhenAllowed();
      return;
    }
    for (const member of this.#dispensable().slice(0, have - desired)) this.#drain(member);
  }

  /** Starts one instance now and keeps it. Throws what {@link Launcher.launch} throws. */
  async startOne(cause: StartReport['cause'], signal?: AbortSignal): Promise<void> {
    const context = { cause, decidedAtMs: this.#options.clock.monotonic() };
    this.#starting += 1;
    try {
      using _permit = await this.#options.budget.acquire();
      const closing = this.#closing.signal;
      const either = signal ? AbortSignal.any([signal, closing]) : closing;
      this.#add(await this.#launch(context, either));
    } finally {
      this.#startEnded();
    }
  }

  /** Takes over an instance of an earlier server; one that does not answer is stopped. */
  async adopt(instance: Instance): Promise<boolean> {
    this.#starting += 1;
    try {
      if (instance.state === 'frozen') await this.#options.engine.thaw(instance.id);
      this.#add(await this.#options.launcher.adopt(this.version, instance, AbortSignal.timeout(ADOPT_MS)));
      return true;
    } catch (error) {
      this.#options.logger.warn(
        { instance: instance.id, err: asEbbError(error) },
        'an instance of the last run does not answer and is stopped',
      );
      return false;
    } finally {
      this.#startEnded();
    }
  }

  /** Serves no new version's requests any more: finishes what it has, then gives its instances up. */
  retire(): void {
    if (this.#retiring) return;
    this.#retiring = true;
    this.#options.onDemand(this);
    this.#settle();
  }

  /** Forgets an instance that is known to be gone, or stops one that only its exit hint announced. */
  lost(instanceId: string, exit: InstanceExit): void {
    const member = this.#members.get(instanceId);
    if (!member || member.state === 'draining') return;
    member.launched.log.say(`the instance ${describeExit(exit)}`);
    this.#lostAtMs = this.#options.clock.monotonic();
    this.#drain(member);
    this.#options.onDemand(this);
  }

  /** Stops every instance at once, busy or not, and resolves when all have ended. Those who wait get DRAINING. */
  async close(): Promise<void> {
    this.#retiring = true;
    this.#closing.abort(new EbbError('DRAINING', 'the server is shutting down'));
    this.#admission.rejectWaiting(new EbbError('DRAINING', 'the server is shutting down', { retryAfterSeconds: 1 }));
    for (const member of this.#members.values()) if (member.state === 'ready') this.#drain(member);
    while (this.#stops.size > 0 || this.#starting > 0) {
      await Promise.all(this.#stops);
      if (this.#starting > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Why starts are held back and until when, if they are. */
  startsHeld(): FunctionResource['startsHeld'] {
    const blocked = this.#backoff.blocked(this.#options.clock.monotonic());
    if (!blocked) return undefined;
    const until = new Date(this.#options.clock.now() + blocked.leftMs).toISOString();
    return { reason: blocked.error.message, failures: blocked.failures, until };
  }

  /** The instances as the API shows them. */
  instances(): InstanceResource[] {
    const { version } = this;
    return [...this.#members.values()].map((member) => ({
      id: member.launched.instance.id,
      namespace: version.namespace,
      function: version.name,
      version: version.version,
      state: this.#stateOf(member),
      inFlight: member.endpoint.inFlight,
      engine: this.#options.engine.name,
      startedAt: new Date(member.launched.instance.startedAt).toISOString(),
      ...(member.launched.start === undefined ? {} : { start: member.launched.start }),
    }));
  }

  #stateOf(member: Member): InstanceState {
    if (member.state === 'draining') return 'draining';
    if (this.#freezer.isFrozen(member)) return 'frozen';
    return member.endpoint.inFlight > 0 ? 'busy' : 'idle';
  }

  /** Ready instances without a request, the longest idle first. */
  #idle(): Member[] {
    return [...this.#members.values()]
      .filter(({ endpoint, state }) => state === 'ready' && endpoint.inFlight === 0)
      .sort((a, b) => a.endpoint.idleSinceMs - b.endpoint.idleSinceMs);
  }

  /** Idle instances that the standby does not keep, the longest idle first. */
  #dispensable(): Member[] {
    const idle = this.#idle();
    return this.#retiring ? idle : idle.slice(0, Math.max(0, idle.length - this.version.limits.standby));
  }

  async #startWhenAllowed(): Promise<void> {
    const context = { cause: this.#cause(), decidedAtMs: this.#options.clock.monotonic() };
    this.#starting += 1;
    try {
      using _permit = await this.#options.budget.acquire();
      // What was lacking when the permit was asked for may be there by now (S3), or known not to start.
      if (!this.#stillLacking() || this.#backoff.blocked(this.#options.clock.monotonic())) return;
      this.#add(await this.#launch(context, this.#closing.signal));
    } catch (error) {
      this.#startFailed(asEbbError(error));
    } finally {
      this.#startEnded();
    }
  }

  async #launch(context: LaunchContext, signal: AbortSignal): Promise<Launched> {
    const { clock, launcher } = this.#options;
    const beganAt = clock.monotonic();
    const launched = await launcher.launch(this.version, context, signal);
    const tookMs = clock.monotonic() - beganAt;
    this.#startMs = this.#startMs === undefined ? tookMs : this.#startMs + (tookMs - this.#startMs) * START_WEIGHT;
    return launched;
  }

  /** Why the start that is decided now is. */
  #cause(): StartReport['cause'] {
    if (this.#options.clock.monotonic() - this.#lostAtMs < REPLACED_WITHIN_MS) {
      this.#lostAtMs = -Infinity;
      return 'replaced';
    }
    if (this.inFlight + this.waiting === 0) return 'minimum';
    return this.ready + this.#starting === 0 ? 'scale-from-zero' : 'burst';
  }

  /** Those who wait are told of failing starts only when none that may help them is under way any more. */
  #startEnded(): void {
    this.#starting -= 1;
    if (this.#starting === 0 && this.ready === 0) {
      const blocked = this.#backoff.blocked(this.#options.clock.monotonic());
      if (blocked) this.#admission.rejectWaiting(blocked.error);
    }
    this.#settle();
  }

  #stillLacking(): boolean {
    const { limits } = this.version;
    const load = this.inFlight + this.waiting;
    const floor = this.#retiring ? 0 : Math.max(limits.scaleMin, this.#floor);
    const bears = limits.scaling.mode === 'concurrency' ? limits.scaling.target : limits.concurrency;
    const wanted = Math.min(this.#desired, Math.max(floor, Math.ceil(load / bears)));
    return wanted > this.ready + this.#starting - 1;
  }

  #add(launched: Launched): void {
    const endpoint = this.#connect(launched, this.#options.clock.monotonic());
    this.#members.set(launched.instance.id, { launched, endpoint, state: 'ready' });
    this.#backoff.succeeded();
    void launched.exited.then((exit) => this.lost(launched.instance.id, exit));
    if (this.#closing.signal.aborted) this.lost(launched.instance.id, { outOfMemory: false });
    else this.#serve(launched, endpoint);
  }

  #serve({ instance, start }: Launched, endpoint: Endpoint): void {
    const { waiting } = this;
    this.#admission.add(endpoint, start && waitForStart(start));
    const calls = waiting - this.waiting;
    if (start) this.#options.onStarted({ version: this.version, instanceId: instance.id, start, calls });
  }

  #connect({ instance }: Launched, idleSinceMs: number): Endpoint {
    const { version } = this;
    return createEndpoint({
      instanceId: instance.id,
      target: instance.target,
      managed: version.spec.runtime !== undefined,
      capacity: version.limits.concurrency,
      nowMs: idleSinceMs,
    });
  }

  #startFailed(error: EbbError): void {
    const { logger, clock } = this.#options;
    if (this.#closing.signal.aborted) return;
    logger.warn({ version: this.version.key, code: error.code, err: error }, 'an instance could not be started');
    this.#backoff.failed(error, clock.monotonic());
    this.#options.onDemand(this);
  }

  #startsKeepFailing({ error, leftMs }: { readonly error: EbbError; readonly leftMs: number }): EbbError {
    const retryAfterSeconds = Math.max(1, Math.ceil(leftMs / 1000));
    if (error.component === 'engine')
      return new EbbError(error.code, error.message, { cause: error, retryAfterSeconds });
    const { name } = this.version;
    return new EbbError('START_FAILED', `instances of ${name} keep failing to start; "ebb logs ${name}" says why`, {
      retryAfterSeconds,
    });
  }

  #returned(endpoint: Endpoint): void {
    endpoint.idleSinceMs = this.#options.clock.monotonic();
    if (!endpoint.accepting) this.#members.get(endpoint.instanceId)?.onIdle?.();
    if (this.#retiring) this.#settle();
  }

  #failed(endpoint: Endpoint, kind: SlotFailure): void {
    const member = this.#members.get(endpoint.instanceId);
    if (!member || member.state === 'draining') return;
    if (kind !== 'hard' && endpoint.failuresInRow < FAILURES_IN_ROW) {
      if (kind === 'broken') void this.#verify(member);
      return;
    }
    member.launched.log.say(
      kind === 'hard'
        ? 'the instance refuses connections and is replaced'
        : 'the instance failed several requests in a row and is replaced',
    );
    this.#drain(member);
    this.#options.onDemand(this);
  }

  /**
   * An instance that cut a connection may be dying, with more of its connections about to break: it gets no request
   * until it has been reached anew.
   */
  async #verify(member: Member): Promise<void> {
    if (!member.endpoint.accepting) return;
    member.endpoint.accepting = false;
    const isAlive = await this.#options.launcher.isAlive(this.version, member.launched);
    if (member.state === 'draining') return;
    if (isAlive) this.#admission.readmit(member.endpoint);
    else this.lost(member.launched.instance.id, { outOfMemory: false });
  }

  /** Takes an instance out of service and stops it when it holds no request any more (S2, G2). */
  #drain(member: Member): void {
    if (member.state === 'draining') return;
    member.state = 'draining';
    member.endpoint.accepting = false;
    this.#freezer.forget(member);
    this.#admission.remove(member.endpoint);
    const { engine, exits, logger } = this.#options;
    const { timeoutMs } = this.version.limits;
    const stop = stopMember(member, { engine, exits, logger, timeoutMs, closing: this.#closing.signal }).finally(() => {
      this.#stops.delete(stop);
      this.#members.delete(member.launched.instance.id);
      this.#settle();
    });
    this.#stops.add(stop);
  }

  #settle(): void {
    if (!this.#retiring) return;
    if (this.inFlight === 0 && this.waiting === 0) {
      for (const member of this.#members.values()) if (member.state === 'ready') this.#drain(member);
    }
    if (this.size === 0 && this.waiting === 0) this.#options.onEmpty(this);
  }
}
