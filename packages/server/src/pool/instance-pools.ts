import {
  type ColdStart,
  type FunctionName,
  type FunctionSpec,
  type InstanceResource,
  type VersionKey,
  isShadowOnly,
} from '@ebb/contract';
import { asEbbError, EbbError } from '../core/errors.ts';
import type {
  AskedReplicas,
  ComingCalls,
  DeployGate,
  FunctionRecord,
  FunctionRegistry,
  FunctionStanding,
  RegistryChange,
  Version,
} from '../core/ports.ts';
import type { Slot, Standing } from './admission.ts';
import { CallLimits } from './call-limits.ts';
import { isStartFailure } from './classify-start-failure.ts';
import type { ExitWatch } from './exit-watch.ts';
import { IdleKeeper, type IdleKeeperOptions } from './idle-keeper.ts';
import { minimumOf } from './minimum-of.ts';
import { Reconciler } from './reconciler.ts';
import type { StartBudget } from './start-budget.ts';
import { type Started, StartHistory } from './start-history.ts';
import { activeCalls, instancesFor, warmUp } from './warm-up.ts';
import type { WarmPool } from './warm-pool.ts';
import { VersionPool, type VersionPoolOptions } from './version-pool.ts';

/** A version that was proved but gets no calls keeps its instance this long: an alias may come to it. */
const UNUSED_MS = 60_000;

/** What {@link InstancePools} is made with. */
export interface InstancePoolsOptions extends Omit<
  VersionPoolOptions,
  'version' | 'isShadow' | 'onEmpty' | 'onStarted' | 'limits' | 'replicas'
> {
  readonly budget: StartBudget;
  readonly exits: ExitWatch;
  readonly generation: string;
  /** Bounds of what is kept without work. */
  readonly idle: Omit<IdleKeeperOptions, 'all'>;
  /** Instances kept ready without code. */
  readonly spares?: WarmPool;
  /** How many calls there may be at once. Default: any number, but for what functions say. */
  readonly limits?: CallLimits;
  /** Told of every instance that has started. */
  readonly onStarted?: (started: Started) => void;
  /** See {@link Reconciler}. */
  readonly heldElsewhere?: (() => Promise<ReadonlySet<string> | undefined>) | undefined;
}

/** How long after it was looked up a version may be called by its number; gateways look it up again much sooner. */
const CALLED_MS = 60_000;
/** Versions called by number that are remembered at once. */
const MAX_CALLED = 1_000;

/**
 * Every pool there is, by version key. A version that was not called has no pool, so thousands of functions at
 * zero cost nothing here. Also what a deploy is proved by.
 */
export class InstancePools implements DeployGate, AsyncDisposable {
  /** How many calls of functions and namespaces there may be at once. */
  readonly limits: CallLimits;
  readonly #options: InstancePoolsOptions;
  readonly #pools = new Map<VersionKey, VersionPool>();
  /** When versions were last looked up by their number, monotonic milliseconds. */
  readonly #called = new Map<VersionKey, number>();
  readonly #keeper: IdleKeeper;
  readonly #history = new StartHistory();
  readonly #reconciler: Reconciler;
  /** Ends the time of versions that were proved but get no calls. */
  readonly #unused = new Set<NodeJS.Timeout>();
  #registry: FunctionRegistry | undefined;
  #watching: Disposable | undefined;
  #closed: Promise<void> | undefined;
  /** Set while everything is given to another server. */
  #onReleased: (() => void) | undefined;

  constructor(options: InstancePoolsOptions) {
    this.#options = options;
    this.limits = options.limits ?? new CallLimits();
    this.#keeper = new IdleKeeper({ ...options.idle, all: () => this.#pools.values() });
    this.#reconciler = new Reconciler({
      ...options,
      serving: (key) => this.#servingVersion(key),
      isPooled: (id) => [...this.#pools.values()].some((pool) => pool.has(id)),
      isSpare: (id) => options.spares?.has(id) === true,
      adopt: (version, instance) => this.of(version).adopt(instance),
    });
  }

  /**
   * Adopts or reaps what an earlier server left, then follows the registry and the engine until disposed. An engine
   * that does not answer now is asked again later.
   */
  async start(registry: FunctionRegistry): Promise<void> {
    this.#registry = registry;
    this.#watching = registry.watch((change) => this.#follow(change));
    for (const { live } of registry.list()) this.limits.setFunction(live.namespace, live.name, live.limits);
    await this.#reconciler.start();
    this.#options.spares?.start();
    for (const { versions } of registry.list()) for (const version of versions) this.#keep(version);
    this.#keeper.start();
  }

  /** A slot of a version; see {@link VersionPool.acquire}. */
  acquire(version: Version, signal?: AbortSignal, standing?: Standing): Slot | Promise<Slot> {
    const existing = this.#pools.get(version.key);
    if (existing) return existing.acquire(signal, standing);
    const pool = this.of(version);
    try {
      return pool.acquire(signal, standing);
    } finally {
      if (this.#servingVersion(version.key) === undefined) {
        if (this.#isCalled(version)) pool.unlist();
        // Replaced since the request was resolved to it: this request is served by it still (V2), and nothing is kept.
        else pool.retire();
      }
    }
  }

  /** Takes note that a version is called by its number: if no alias refers to it, it is not drained after each call. */
  called(version: Version): Version {
    const { key } = version;
    this.#called.delete(key);
    this.#called.set(key, this.#options.clock.monotonic());
    const oldest = this.#called.size > MAX_CALLED ? this.#called.keys().next().value : undefined;
    if (oldest !== undefined) this.#called.delete(oldest);
    if (this.#isCalled(version) && this.#servingVersion(key) === undefined) this.#pools.get(key)?.unlist();
    return version;
  }

  /** A slot if one is free now, without any waiting. */
  tryAcquire(version: Version): Slot | undefined {
    return this.#pools.get(version.key)?.tryAcquire();
  }

  /** Whether the version has no instance that could serve. */
  isCold(version: Version): boolean {
    return (this.#pools.get(version.key)?.ready ?? 0) === 0;
  }

  /** The pool of a version, made when it is first needed. */
  of(version: Version): VersionPool {
    const existing = this.#pools.get(version.key);
    if (existing) return existing;
    const pool = new VersionPool({
      ...this.#options,
      limits: this.limits,
      version,
      isShadow: (one) => this.#isShadow(one),
      replicas: (one) => this.#replicasOf(one),
      onStarted: (started) => this.#started(started),
      onEmpty: (empty) => this.#forget(empty),
    });
    this.#pools.set(version.key, pool);
    // A call that was here before the other server took over: served, and nothing is kept.
    if (this.#onReleased) pool.release(this.#onReleased);
    return pool;
  }

  /** The pool of a version, if it has one. */
  find(key: VersionKey): VersionPool | undefined {
    return this.#pools.get(key);
  }

  /** Every pool there is. */
  all(): IterableIterator<VersionPool> {
    return this.#pools.values();
  }

  /** Instances of all pools together, those on their way included. */
  get size(): number {
    let size = 0;
    for (const pool of this.#pools.values()) size += pool.size;
    return size;
  }

  /** The instances of a function's versions, as the API shows them. */
  list(namespace: string, name: string): InstanceResource[] {
    const found: InstanceResource[] = [];
    for (const pool of this.#pools.values()) {
      if (pool.version.namespace === namespace && pool.version.name === name) found.push(...pool.instances());
    }
    return found;
  }

  /** The instances of every function. */
  everyInstance(): InstanceResource[] {
    return [...this.#pools.values()].flatMap((pool) => pool.instances());
  }

  /** The last starts of a function that calls waited for, newest first. */
  coldStarts(namespace: string, name: string): readonly ColdStart[] {
    return this.#history.of(namespace, name);
  }

  /** How a version stands. */
  functionState(version: Version): FunctionStanding {
    const pool = this.#pools.get(version.key);
    if (!pool) return { state: 'idle', instances: 0 };
    const { ready, scaling } = pool;
    const startsHeld = ready === 0 ? pool.startsHeld() : undefined;
    return {
      state: ready > 0 ? 'ready' : pool.starting > 0 ? 'starting' : 'idle',
      instances: ready,
      ...(scaling === undefined ? {} : { scaling }),
      ...(startsHeld === undefined ? {} : { startsHeld }),
    };
  }

  /** How many instances a version is meant to have now, and how many could serve a call. */
  replicas(version: Version): { readonly wanted: number; readonly ready: number } {
    const asked = this.#replicasOf(version);
    const pool = this.#pools.get(version.key);
    const ready = pool?.ready ?? 0;
    // What is still there then is only finished.
    if (asked?.count === 0) return { wanted: 0, ready };
    const minimum = pool?.minimum ?? minimumOf(version, asked, this.#options.clock.now());
    return { wanted: Math.max(minimum, ready + (pool?.starting ?? 0)), ready };
  }

  async admit(spec: FunctionSpec, signal?: AbortSignal): Promise<{ readonly imageDigest?: string }> {
    const { engine } = this.#options;
    if (spec.image === undefined) return {};
    return { imageDigest: await engine.resolveImage(spec.image, signal) };
  }

  async prove(version: Version, signal?: AbortSignal): Promise<void> {
    try {
      const pool = this.of(version);
      pool.revive();
      // Another alias leads to it already.
      if (pool.ready > 0) return;
      await pool.startOne('deploy', signal);
    } catch (error) {
      const failure = asEbbError(error);
      if (!isStartFailure(failure.code)) throw failure;
      throw new EbbError(
        'DEPLOY_FAILED',
        `version ${version.version} was not deployed: ${failure.message} (${failure.code})`,
        {
          cause: failure,
          ...(failure.logs === undefined ? {} : { logs: failure.logs }),
        },
      );
    }
  }

  async warm(record: FunctionRecord, coming: readonly ComingCalls[], limitMs: number): Promise<void> {
    const serving = record.versions.flatMap(({ key }) => this.#pools.get(key) ?? []);
    const calls = activeCalls(serving);
    const numbers = new Set(record.versions.map(({ version }) => version));
    await Promise.all(
      coming.map(async ({ version, share }) => {
        const count = instancesFor(calls * share, version.limits);
        // One is started by the first call as soon as here.
        if (count <= 1) return;
        const pool = this.of(version);
        const isServing = numbers.has(version.version);
        pool.revive();
        await warmUp(pool, count, limitMs, () => this.#closed !== undefined);
        // It may not come to it.
        if (!isServing) this.#retireSoon(version.key);
      }),
    );
  }

  async discard(version: Version, { stays }: { readonly stays: boolean } = { stays: false }): Promise<void> {
    const pool = this.#pools.get(version.key);
    if (!pool) return;
    if (stays) return this.#retireSoon(version.key);
    await pool.close();
    this.#forget(pool);
  }

  /** Stops the instances of a version that no alias names, such as the one it was proved by, if none holds a call. */
  async stopIdle({ key }: Version): Promise<void> {
    const pool = this.#pools.get(key);
    if (!pool || this.#servingVersion(key) !== undefined) return;
    if (pool.inFlight > 0 || pool.waiting > 0 || pool.starting > 0) return;
    await pool.close();
    this.#forget(pool);
  }

  /** See {@link Reconciler.reconcile}. */
  reconcile(): Promise<void> {
    return this.#reconciler.reconcile();
  }

  /** Whether the version has instances, or some on their way. */
  isRunning(key: VersionKey): boolean {
    return (this.#pools.get(key)?.size ?? 0) > 0;
  }

  /** See {@link IdleKeeper.rebound}. */
  rebound(bounds: Pick<IdleKeeperOptions, 'maxFrozenBytes' | 'maxInstances'>): void {
    this.#keeper.rebound(bounds);
  }

  /** See {@link Reconciler.want}. */
  wantReconcile(): void {
    this.#reconciler.want();
  }

  /** Prepares for {@link release}: what nobody here knows is left alone from now on. */
  pause(): Promise<void> {
    return this.#reconciler.pause();
  }

  /**
   * Gives every instance to another server as soon as it holds no request; those that hold one are finished here, and
   * `onReleased` is called whenever some have become free. Spares are stopped.
   */
  release(onReleased: () => void): void {
    this.#onReleased = onReleased;
    this.#keeper[Symbol.dispose]();
    for (const pool of this.#pools.values()) pool.release(onReleased);
    void this.#options.spares?.pause();
  }

  /** Goes on as before {@link pause} and {@link release}, with what was not given away. */
  resume(): void {
    if (this.#onReleased) void this.#options.spares?.resume();
    this.#onReleased = undefined;
    for (const pool of this.#pools.values()) pool.keep();
    this.#keeper.start();
    this.#reconciler.resume();
  }

  /** Ids of the instances that are this server's: in service, being started, spare, or being stopped. */
  held(): readonly string[] {
    return this.#options.exits.ids();
  }

  /** Stops every instance; resolves when all have ended. Idempotent. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { spares } = this.#options;
    this.#watching?.[Symbol.dispose]();
    this.#keeper[Symbol.dispose]();
    for (const timer of this.#unused) clearTimeout(timer);
    await this.#reconciler.close();
    await Promise.all([...this.#pools.values(), ...(spares ? [spares] : [])].map((pool) => pool.close()));
  }

  #follow(change: RegistryChange): void {
    const serving = change.kind === 'changed' ? change.record.versions : [];
    if (change.kind === 'removed') this.limits.forget(change.previous.namespace, change.previous.name);
    else this.limits.setFunction(change.record.namespace, change.record.name, change.record.live.limits);
    for (const version of serving) {
      this.#pools.get(version.key)?.revive();
      this.#keep(version);
    }
    if (change.kind === 'changed' && change.record.replicas !== change.previous?.replicas) this.#resize(change.record);
    const numbers = new Set(serving.map(({ version }) => version));
    const gone = change.previous?.versions.filter(({ version }) => !numbers.has(version)) ?? [];
    for (const { key } of gone) this.#pools.get(key)?.retire();
    if (change.kind === 'removed') this.#retireAll(change.previous);
    if (change.kind === 'removed') this.#history.forget(change.previous.namespace, change.previous.name);
  }

  #retireSoon(key: VersionKey): void {
    const timer = setTimeout(() => {
      this.#unused.delete(timer);
      if (this.#servingVersion(key) === undefined) this.#pools.get(key)?.retire();
    }, UNUSED_MS).unref();
    this.#unused.add(timer);
  }

  /** Sees to a version that has instances even without traffic. */
  #keep(version: Version): void {
    if (isEverKept(version) || (this.#replicasOf(version)?.count ?? 0) > 0) this.#options.onDemand(this.of(version));
  }

  /** Instances above the number that was asked for go now; those that lack are started as any minimum is. */
  #resize({ live, replicas }: FunctionRecord): void {
    const pool = this.#pools.get(live.key);
    if (!replicas || !pool) return;
    const surplus = pool.ready + pool.starting - Math.min(replicas.count, live.limits.scaleMax);
    if (surplus > 0) pool.giveUp(surplus, `scaled to ${replicas.count} by hand`);
  }

  #replicasOf({ key, namespace, name }: Version): AskedReplicas | undefined {
    const record = this.#registry?.resolve(namespace, name);
    return record?.live.key === key ? record.replicas : undefined;
  }

  #started(started: Started): void {
    const { namespace, name } = started.version;
    // What starts while its function is being removed has nobody left to ask for it.
    if (this.#registry?.resolve(namespace, name)) this.#history.add(started, this.#options.clock.now());
    if (this.#replicasOf(started.version)?.count === 0) this.#startedAtZero(started);
    this.#options.onStarted?.(started);
  }

  /** A call ends that a function was scaled to zero; what was on its way before then is stopped. */
  #startedAtZero({ version, calls }: Started): void {
    const { namespace, name } = version;
    if (calls === 0) {
      this.#pools.get(version.key)?.giveUp(1, 'scaled to 0 by hand');
      return;
    }
    this.#registry?.setReplicas(namespace, name, undefined).catch((error: unknown) => {
      this.#options.logger.warn(
        { err: error, version: version.key },
        'a function that was woken counts as at zero still',
      );
    });
  }

  #forget(pool: VersionPool): void {
    if (this.#pools.get(pool.version.key) === pool) this.#pools.delete(pool.version.key);
    this.limits.leave(pool);
  }

  /** Versions that were called by number go with their function. */
  #retireAll({ namespace, name }: FunctionName): void {
    for (const pool of this.#pools.values()) {
      if (pool.version.namespace === namespace && pool.version.name === name) pool.retire();
    }
  }

  /** Whether a version was lately looked up by its number, and its function is still there. */
  #isCalled({ key, namespace, name }: Version): boolean {
    const calledMs = this.#called.get(key) ?? -Infinity;
    const isLately = this.#options.clock.monotonic() - calledMs < CALLED_MS;
    return isLately && this.#registry?.resolve(namespace, name) !== undefined;
  }

  #isShadow({ namespace, name, version }: Version): boolean {
    const aliases = this.#registry?.resolve(namespace, name)?.aliases ?? [];
    return isShadowOnly(
      aliases.map(({ spec }) => spec),
      version,
    );
  }

  #servingVersion(key: VersionKey): Version | undefined {
    const [path, number] = key.split('@');
    const [namespace, name] = (path ?? '').split('/');
    const versions = this.#registry?.resolve(namespace ?? '', name ?? '')?.versions;
    return versions?.find(({ version }) => version === Number(number));
  }
}

/** Whether a version has instances at times without being called, so that it needs a pool from the start. */
function isEverKept({ limits }: Version): boolean {
  return limits.standby > 0 || limits.scaleMin > 0 || limits.scaling.schedule.length > 0;
}
