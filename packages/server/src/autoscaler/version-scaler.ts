import { decideScale, foldChange, INITIAL_SCALE_STATE, type ScaleDecision, type ScaleState } from './decide-scale.ts';
import type { AgeLog } from './age-log.ts';
import { foldGone, foldUsage, NO_USAGE, type Usage } from './keep-alive/fold-usage.ts';
import type { IdleInstance, KeepAlivePlan, KeepAlivePolicy } from './keep-alive/keep-alive-policy.ts';
import type { Scalable } from './scalable.ts';
import { createSchedule, type Scheduled } from './schedule.ts';
import { LoadWindows } from './windows.ts';

/** What an instance is taken to need for its start before one was seen to. */
const UNKNOWN_START_MS = 500;
/** A schedule is precise to the second. */
const SCHEDULE_EVERY_MS = 1_000;

/** A look may be late by so many before what lies between is taken for rest. */
const MOST_LOOKS_MISSED = 2;

/** What every version on a host is scaled by. */
export interface HostScaling {
  /** What all instances together may hold; absent for no bound. */
  readonly memoryBudgetBytes?: number | undefined;
  /** How often each version is looked at, in milliseconds. */
  readonly everyMs: number;
  /** How functions have been used, by namespace and name; kept over their versions. */
  readonly usages: Map<string, Usage>;
  /** The worth of what was given up, over time. */
  readonly ages: AgeLog;
}

/** Follows one version: what it bore lately, how it is used, and what is decided about it. */
export class VersionScaler {
  readonly scalable: Scalable;
  readonly windows: LoadWindows;
  readonly #host: HostScaling;
  readonly #policy: KeepAlivePolicy;
  readonly #followsUsage: boolean;
  readonly #schedule: ((epochMs: number) => Scheduled) | undefined;
  #scheduled: Scheduled & { readonly until: number } = { count: 0, reason: 'no schedule', until: -1 };
  #planned: { readonly usage: Usage; readonly plan: KeepAlivePlan } | undefined;
  #state: ScaleState = INITIAL_SCALE_STATE;
  #lookedAt: number | undefined;
  #arrivals = 0;
  #load = 0;

  constructor(scalable: Scalable, host: HostScaling, policy: KeepAlivePolicy, followsUsage: boolean) {
    this.scalable = scalable;
    this.windows = new LoadWindows(scalable.version.limits.scaling);
    this.#host = host;
    this.#policy = policy;
    this.#followsUsage = followsUsage;
    const { schedule } = scalable.version.limits.scaling;
    this.#schedule = schedule.length > 0 ? createSchedule(schedule) : undefined;
  }

  /** Whether there can be nothing to decide, so that a thousand versions at zero cost next to nothing. */
  get isAtRest(): boolean {
    const { size, waiting, held = 0, isListed = true, version, minimum = version.limits.scaleMin } = this.scalable;
    if (size > 0 || waiting > 0 || held > 0) return false;
    if (!isListed) return true;
    if (minimum > 0 || this.#schedule) return false;
    return !this.#followsUsage || this.#plan.prewarm === undefined;
  }

  /** Looks at the version and decides its size; moments are the host's monotonic clock and its calendar. */
  decide(now: number, epochMs: number): ScaleDecision {
    const { scalable } = this;
    const { isAtZero = false } = scalable;
    this.#look(now);
    const observation = {
      inFlight: scalable.inFlight,
      waiting: scalable.waiting,
      ready: scalable.ready,
      starting: scalable.starting,
      idleMs: scalable.idleMs(),
      // Only calls that are here start instances then, and idle ones go at once.
      retiring: scalable.retiring || isAtZero,
    };
    const windows = {
      seen: observation,
      ...this.windows.means(now),
      floor: this.floor(now, epochMs),
      backlog: scalable.backlog ?? 0,
      keepMs: this.#plan.keepMs,
    };
    const decision = decideScale(scalable.version.limits, windows, this.#state, now);
    this.#state = decision.next;
    return isAtZero ? { ...decision, reason: 'scaled to 0 by hand' } : decision;
  }

  /** Lets go of what is of no use to a version at rest. */
  rest(): void {
    if (this.#lookedAt === undefined) return;
    this.windows.clear();
    this.#lookedAt = undefined;
  }

  /** Remembers how far a decision could be carried out. */
  applied(change: { readonly started: number; readonly stopped: number }, now: number): void {
    this.#state = foldChange(this.#state, change, now);
  }

  /** Fewest instances for other reasons than load. */
  floor(now: number, epochMs: number): Scheduled {
    const { held = 0, isListed = true, version } = this.scalable;
    const { scaleMin, scaleMax } = version.limits;
    const { minimum = scaleMin } = this.scalable;
    let floor: Scheduled = { count: isListed ? minimum : 0, reason: 'the minimum' };
    if (held > floor.count) floor = { count: Math.min(held, scaleMax), reason: 'kept for a rollout' };
    if (!isListed) return floor;
    const { minActive = 0 } = version.limits.scaling;
    if (minActive > floor.count && this.#isActive)
      floor = { count: minActive, reason: 'the minimum while it is called' };
    const scheduled = this.#scheduledAt(now, epochMs);
    if (scheduled.count > floor.count) floor = scheduled;
    return floor.count === 0 && this.#isCallExpected(now) ? { count: 1, reason: 'a call is expected' } : floor;
  }

  /** Instances that may make room for others: idle, and not wanted by a minimum. */
  spare(now: number, epochMs: number): (IdleInstance & { readonly scaler: VersionScaler })[] {
    const { scalable } = this;
    const most = scalable.retiring ? scalable.ready : scalable.ready - this.floor(now, epochMs).count;
    const facts = this.#facts;
    const usage = this.#usage;
    const idle = scalable.idleMs().sort((a, b) => b - a);
    return idle.slice(0, Math.max(0, most)).map((idleMs) => ({
      scaler: this,
      usage,
      facts,
      idleMs,
      age: this.#host.ages.at(now - idleMs),
    }));
  }

  /** Whether a call is here, or was so lately that not every instance has been idle for long enough. */
  get #isActive(): boolean {
    const { inFlight, waiting, ready, isAtZero = false } = this.scalable;
    if (isAtZero) return false;
    if (inFlight + waiting > 0) return true;
    const { keepMs } = this.#plan;
    return ready > 0 && this.scalable.idleMs().some((ms) => ms < keepMs);
  }

  get #key(): string {
    const { namespace, name } = this.scalable.version;
    return `${namespace}/${name}`;
  }

  get #usage(): Usage {
    return this.#host.usages.get(this.#key) ?? NO_USAGE;
  }

  get #facts() {
    const { limits } = this.scalable.version;
    return {
      idleMs: limits.idleMs,
      startMs: this.scalable.startMs ?? UNKNOWN_START_MS,
      memoryBytes: limits.memoryBytes,
      memoryBudgetBytes: this.#host.memoryBudgetBytes,
    };
  }

  get #plan(): KeepAlivePlan {
    if (!this.#followsUsage) return { keepMs: this.scalable.version.limits.idleMs };
    const usage = this.#usage;
    if (this.#planned?.usage !== usage) this.#planned = { usage, plan: this.#policy.plan(usage, this.#facts) };
    return this.#planned.plan;
  }

  #look(now: number): void {
    const { scalable } = this;
    // What was at rest in between was not looked at: its calls, if any, came just now.
    const { everyMs } = this.#host;
    const overMs = this.#lookedAt === undefined ? everyMs : Math.min(now - this.#lookedAt, MOST_LOOKS_MISSED * everyMs);
    if (overMs <= 0) return;
    const arrived = scalable.arrivals - this.#arrivals;
    if (this.#followsUsage && !scalable.retiring) this.#follow(arrived, now);
    const { mode } = scalable.version.limits.scaling;
    if (mode === 'rps') this.windows.add((arrived * 1000) / overMs, overMs, now);
    else if (mode !== 'cpu') this.windows.add(this.#load, overMs, now);
    this.#load = mode === 'queue' ? scalable.waiting : scalable.inFlight + scalable.waiting;
    this.#arrivals = scalable.arrivals;
    this.#lookedAt = now;
  }

  #follow(arrived: number, now: number): void {
    const { scalable } = this;
    const before = scalable.size === 0 ? foldGone(this.#usage) : this.#usage;
    const isActive = scalable.inFlight + scalable.waiting > 0;
    const usage = foldUsage(before, { arrived, isActive }, now);
    if (usage !== NO_USAGE) this.#host.usages.set(this.#key, usage);
  }

  #isCallExpected(now: number): boolean {
    if (!this.#followsUsage || this.scalable.retiring) return false;
    const { prewarm } = this.#plan;
    const { lastActiveAt } = this.#usage;
    if (!prewarm || lastActiveAt === undefined) return false;
    return now - lastActiveAt >= prewarm.fromMs && now - lastActiveAt <= prewarm.untilMs;
  }

  #scheduledAt(now: number, epochMs: number): Scheduled {
    if (this.#schedule && now >= this.#scheduled.until) {
      this.#scheduled = { ...this.#schedule(epochMs), until: now + SCHEDULE_EVERY_MS };
    }
    return this.#scheduled;
  }
}
