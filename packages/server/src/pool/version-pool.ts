import type { FunctionResource, InstanceResource, InstanceState, StartReport } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Version } from '../core/ports.ts';
import { describeExit } from '../engines/await-ready.ts';
import type { Engine, Instance, InstanceExit } from '../engines/engine.ts';
import { Admission, type Slot, type SlotFailure } from './admission.ts';
import { createEndpoint, type Endpoint } from './endpoint.ts';
import type { ExitWatch } from './exit-watch.ts';
import type { Launched, Launcher } from './launcher.ts';
import type { StartBudget } from './start-budget.ts';
import { StartBackoff } from './start-backoff.ts';
import { type Member, stopMember } from './stop-member.ts';

/** An instance of an earlier server answers within this time, or is stopped. */
const ADOPT_MS = 2_000;
/** A start this soon after an instance was lost is in its place. */
const REPLACED_WITHIN_MS = 1_000;
/** An instance that failed this many requests in a row is replaced (it may be wedged). */
const FAILURES_IN_ROW = 3;

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
  #starting = 0;
  /** When an instance was lost that no start has replaced yet, monotonic milliseconds. */
  #lostAtMs = -Infinity;
  #desired = 0;
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
      onDemand: () => options.onDemand(this),
      onReturned: (endpoint) => this.#returned(endpoint),
      onFailure: (endpoint, kind) => this.#failed(endpoint, kind),
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
    return this.#admission.tryAcquire();
  }

  /**
   * A slot, at once or when one is free; see {@link Admission.acquire}. While starts keep failing and none is under
   * way, it rejects with START_FAILED or what the engine says.
   */
  acquire(signal?: AbortSignal): Slot | Promise<Slot> {
    if (this.#admission.endpoints.length === 0 && this.#starting === 0) {
      const blocked = this.#backoff.blocked(this.#options.clock.monotonic());
      if (blocked) return Promise.reject(this.#startsKeepFailing(blocked));
    }
    return this.#admission.acquire(signal);
  }

  /** How long each ready instance without a request has had none, in milliseconds. */
  idleMs(): number[] {
    const now = this.#options.clock.monotonic();
    const idle: number[] = [];
    for (const { endpoint, state } of this.#members.values()) {
      if (state === 'ready' && endpoint.inFlight === 0) idle.push(now - endpoint.idleSinceMs);
    }
    return idle;
  }

  /** Makes the number of instances go towards `desired`: starts what lacks, stops the longest idle (S2). */
  scaleTo(desired: number): void {
    this.#desired = desired;
    const have = this.ready + this.#starting;
    if (desired > have) {
      if (this.#backoff.blocked(this.#options.clock.monotonic())) return;
      for (let lacking = desired - have; lacking > 0; lacking -= 1) void this.#startWhenAllowed();
      return;
    }
    const idle = [...this.#members.values()]
      .filter(({ endpoint, state }) => state === 'ready' && endpoint.inFlight === 0)
      .sort((a, b) => a.endpoint.idleSinceMs - b.endpoint.idleSinceMs);
    for (const member of idle.slice(0, have - desired)) this.#drain(member);
  }

  /** Starts one instance now and keeps it. Throws what {@link Launcher.launch} throws. */
  async startOne(signal?: AbortSignal): Promise<void> {
    const context = { cause: 'deploy' as const, decidedAtMs: this.#options.clock.monotonic() };
    this.#starting += 1;
    try {
      using _permit = await this.#options.budget.acquire();
      const closing = this.#closing.signal;
      const either = signal ? AbortSignal.any([signal, closing]) : closing;
      this.#add(await this.#options.launcher.launch(this.version, context, either));
    } finally {
      this.#startEnded();
    }
  }

  /** Takes over an instance of an earlier server; one that does not answer is stopped. */
  async adopt(instance: Instance): Promise<boolean> {
    this.#starting += 1;
    try {
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
    return [...this.#members.values()].map(({ launched, endpoint, state }) => ({
      id: launched.instance.id,
      namespace: version.namespace,
      function: version.name,
      version: version.version,
      state: state === 'draining' ? 'draining' : busyOrIdle(endpoint),
      inFlight: endpoint.inFlight,
      engine: this.#options.engine.name,
      startedAt: new Date(launched.instance.startedAt).toISOString(),
      ...(launched.start === undefined ? {} : { start: launched.start }),
    }));
  }

  async #startWhenAllowed(): Promise<void> {
    const context = { cause: this.#cause(), decidedAtMs: this.#options.clock.monotonic() };
    this.#starting += 1;
    try {
      using _permit = await this.#options.budget.acquire();
      // What was lacking when the permit was asked for may be there by now (S3), or known not to start.
      if (!this.#stillLacking() || this.#backoff.blocked(this.#options.clock.monotonic())) return;
      this.#add(await this.#options.launcher.launch(this.version, context, this.#closing.signal));
    } catch (error) {
      this.#startFailed(asEbbError(error));
    } finally {
      this.#startEnded();
    }
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
    const min = this.#retiring ? 0 : limits.scaleMin;
    const wanted = Math.min(this.#desired, Math.max(min, Math.ceil(load / limits.concurrency)));
    return wanted > this.ready + this.#starting - 1;
  }

  #add(launched: Launched): void {
    const { version, clock } = this.#options;
    const endpoint = createEndpoint({
      instanceId: launched.instance.id,
      target: launched.instance.target,
      managed: version.spec.runtime !== undefined,
      capacity: version.limits.concurrency,
      nowMs: clock.monotonic(),
    });
    this.#members.set(launched.instance.id, { launched, endpoint, state: 'ready' });
    this.#backoff.succeeded();
    void launched.exited.then((exit) => this.lost(launched.instance.id, exit));
    if (this.#closing.signal.aborted) this.lost(launched.instance.id, { outOfMemory: false });
    else this.#admission.add(endpoint);
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

function busyOrIdle(endpoint: Endpoint): InstanceState {
  return endpoint.inFlight > 0 ? 'busy' : 'idle';
}
