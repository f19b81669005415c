import type { KeepAlive } from '@ebb/contract';
import { chooseVictims } from '../keep-alive/choose-victims.ts';
import { foldGone, foldUsage, NO_USAGE, type Usage } from '../keep-alive/fold-usage.ts';
import type { EvictionAge, KeepAliveFacts, KeepAlivePlan } from '../keep-alive/keep-alive-policy.ts';
import { KEEP_ALIVE_POLICIES } from '../keep-alive/policies.ts';
import { EventQueue } from './event-queue.ts';
import type { TraceCall } from './parse-trace.ts';

/** Under which settings a trace is replayed. */
export interface SimulationOptions {
  readonly keepAlive: KeepAlive;
  /** `scale.idle` of every function, in milliseconds. */
  readonly idleMs: number;
  /** How long an instance takes to start where the trace does not say, in milliseconds. */
  readonly startMs: number;
  /** What all instances together may hold; absent for no bound. */
  readonly memoryBudgetBytes?: number | undefined;
}

/** What a replay came to. */
export interface SimulationResult {
  readonly keepAlive: KeepAlive;
  readonly calls: number;
  /** Calls that waited for an instance to start, as a share of those that were served. */
  readonly coldShare: number;
  /** Bytes held by instances, busy or idle, times seconds. */
  readonly memoryByteSeconds: number;
  /** Of these, what idle ones held. */
  readonly idleByteSeconds: number;
  /** The time of a call with its wait, as a multiple of the time without; 99 of 100 calls are at or below. */
  readonly slowdownP99: number;
  /** Instances that had to make room. */
  readonly evictions: number;
  /** Instances started before the call they were for. */
  readonly prewarms: number;
  /** Calls for which no room could be made. */
  readonly refusedCalls: number;
}

interface SimulatedFunction {
  readonly facts: KeepAliveFacts;
  usage: Usage;
  planned: { readonly usage: Usage; readonly plan: KeepAlivePlan } | undefined;
  busy: number;
  readonly idle: SimulatedInstance[];
}

interface SimulatedInstance {
  /** Instances made later have a larger one. */
  readonly order: number;
  readonly owner: SimulatedFunction;
  readonly memoryBytes: number;
  /** When it is ready, or was. */
  readyAt: number;
  /** Absent while it has a call. */
  idleSince: number | undefined;
  /** The host's age when it last had a call. */
  age: EvictionAge;
}

type SimulatedEvent =
  | { readonly kind: 'done'; readonly instance: SimulatedInstance }
  | { readonly kind: 'release'; readonly instance: SimulatedInstance; readonly idleSince: number }
  | { readonly kind: 'prewarm'; readonly owner: SimulatedFunction; readonly lastActiveAt: number };

/**
 * Replays calls, in order of time, against the keep-alive policies the server runs. An instance takes one call at a
 * time; a call that finds none idle starts one and waits for it. Deterministic.
 */
export function simulateTrace(calls: readonly TraceCall[], options: SimulationOptions): SimulationResult {
  const simulation = new Simulation(options);
  for (const call of calls) simulation.call(call);
  return simulation.finish();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #events = new EventQueue<SimulatedEvent>();
  readonly #functions = new Map<string, SimulatedFunction>();
  readonly #idle = new Set<SimulatedInstance>();
  readonly #slowdowns: number[] = [];
  readonly #counts = { calls: 0, cold: 0, refused: 0, evictions: 0, prewarms: 0 };
  readonly #held = { bytes: 0, idleBytes: 0, byteMs: 0, idleByteMs: 0 };
  #now: number | undefined;
  #endAt = 0;
  #started = 0;
  #age = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
  }

  call(call: TraceCall): void {
    this.#runUntil(call.at);
    this.#counts.calls += 1;
    const owner = this.#ownerOf(call);
    if (owner.busy + owner.idle.length === 0) owner.usage = foldGone(owner.usage);
    owner.usage = foldUsage(owner.usage, { arrived: 1, isActive: true }, call.at);
    const instance = oldestOf(owner.idle) ?? this.#start(owner, call.memoryBytes, call.at);
    if (!instance) {
      this.#counts.refused += 1;
      if (owner.busy === 0) this.#rest(owner, call.at);
      return;
    }
    this.#setIdle(instance, undefined);
    instance.age = this.#age;
    owner.busy += 1;
    const waitMs = Math.max(0, instance.readyAt - call.at);
    if (waitMs > 0) this.#counts.cold += 1;
    this.#slowdowns.push((waitMs + call.durationMs) / Math.max(1, call.durationMs));
    const doneAt = call.at + waitMs + call.durationMs;
    this.#endAt = Math.max(this.#endAt, doneAt);
    this.#events.add(doneAt, { kind: 'done', instance });
  }

  finish(): SimulationResult {
    this.#runUntil(this.#endAt);
    const { calls, cold, refused, evictions, prewarms } = this.#counts;
    const slowdowns = this.#slowdowns.sort((a, b) => a - b);
    return {
      keepAlive: this.#options.keepAlive,
      calls,
      coldShare: cold / Math.max(1, calls - refused),
      memoryByteSeconds: this.#held.byteMs / 1000,
      idleByteSeconds: this.#held.idleByteMs / 1000,
      slowdownP99: slowdowns[Math.max(0, Math.ceil(slowdowns.length * 0.99) - 1)] ?? 1,
      evictions,
      prewarms,
      refusedCalls: refused,
    };
  }

  #ownerOf(call: TraceCall): SimulatedFunction {
    const existing = this.#functions.get(call.name);
    if (existing) return existing;
    const { idleMs, startMs, memoryBudgetBytes } = this.#options;
    const { memoryBytes } = call;
    const facts = { idleMs, startMs: call.startMs ?? startMs, memoryBytes, memoryBudgetBytes };
    const made: SimulatedFunction = { facts, usage: NO_USAGE, planned: undefined, busy: 0, idle: [] };
    this.#functions.set(call.name, made);
    return made;
  }

  #runUntil(at: number): void {
    while (this.#events.nextAt <= at) {
      this.#advance(this.#events.nextAt);
      const event = this.#events.take();
      if (event) this.#handle(event, this.#now ?? at);
    }
    this.#advance(at);
  }

  #advance(to: number): void {
    const passedMs = to - (this.#now ?? to);
    this.#held.byteMs += this.#held.bytes * passedMs;
    this.#held.idleByteMs += this.#held.idleBytes * passedMs;
    this.#now = to;
  }

  #handle(event: SimulatedEvent, now: number): void {
    if (event.kind === 'done') {
      const { owner } = event.instance;
      owner.busy -= 1;
      this.#setIdle(event.instance, now);
      owner.usage = foldUsage(owner.usage, { arrived: 0, isActive: true }, now);
      if (owner.busy === 0) this.#rest(owner, now);
      for (const instance of owner.idle) this.#planRelease(instance, now);
    } else if (event.kind === 'release') {
      const { instance, idleSince } = event;
      if (instance.idleSince === idleSince) this.#releaseWhenDue(instance, idleSince, now);
    } else {
      const { owner, lastActiveAt } = event;
      if (owner.usage.lastActiveAt !== lastActiveAt || owner.busy + owner.idle.length > 0) return;
      const instance = this.#start(owner, owner.facts.memoryBytes, now);
      if (!instance) return;
      this.#counts.prewarms += 1;
      this.#planRelease(instance, now);
    }
  }

  /** The function has no call any more. */
  #rest(owner: SimulatedFunction, now: number): void {
    owner.usage = foldUsage(owner.usage, { arrived: 0, isActive: false }, now);
    const { prewarm } = this.#planOf(owner);
    const { lastActiveAt } = owner.usage;
    if (!prewarm || lastActiveAt === undefined) return;
    this.#events.add(lastActiveAt + prewarm.fromMs, { kind: 'prewarm', owner, lastActiveAt });
  }

  #planRelease(instance: SimulatedInstance, now: number): void {
    const { idleSince } = instance;
    if (idleSince === undefined) return;
    const at = this.#releaseAt(instance, idleSince);
    if (at < Number.POSITIVE_INFINITY) this.#events.add(Math.max(at, now), { kind: 'release', instance, idleSince });
  }

  #releaseWhenDue(instance: SimulatedInstance, idleSince: number, now: number): void {
    const at = this.#releaseAt(instance, idleSince);
    if (at <= now) this.#remove(instance);
    else if (at < Number.POSITIVE_INFINITY) this.#events.add(at, { kind: 'release', instance, idleSince });
  }

  /** When an idle instance goes: after its time, but the last one not while a call is expected. */
  #releaseAt({ owner }: SimulatedInstance, idleSince: number): number {
    const { keepMs, prewarm } = this.#planOf(owner);
    const at = idleSince + keepMs;
    const { lastActiveAt } = owner.usage;
    if (!prewarm || lastActiveAt === undefined || owner.busy + owner.idle.length > 1) return at;
    const isExpected = at >= lastActiveAt + prewarm.fromMs && at <= lastActiveAt + prewarm.untilMs;
    return isExpected ? lastActiveAt + prewarm.untilMs + 1 : at;
  }

  #planOf(owner: SimulatedFunction): KeepAlivePlan {
    const { usage, facts, planned } = owner;
    if (planned?.usage === usage) return planned.plan;
    const plan = KEEP_ALIVE_POLICIES[this.#options.keepAlive].plan(usage, facts);
    owner.planned = { usage, plan };
    return plan;
  }

  #start(owner: SimulatedFunction, memoryBytes: number, now: number): SimulatedInstance | undefined {
    if (!this.#makeRoom(memoryBytes, now)) return undefined;
    const readyAt = now + owner.facts.startMs;
    const instance: SimulatedInstance = {
      order: this.#started++,
      owner,
      memoryBytes,
      readyAt,
      idleSince: undefined,
      age: this.#age,
    };
    this.#held.bytes += memoryBytes;
    this.#setIdle(instance, readyAt);
    return instance;
  }

  #makeRoom(bytes: number, now: number): boolean {
    const { memoryBudgetBytes, keepAlive } = this.#options;
    if (memoryBudgetBytes === undefined) return true;
    const lacking = this.#held.bytes + bytes - memoryBudgetBytes;
    if (lacking <= 0) return true;
    if (this.#held.idleBytes < lacking) return false;
    const idle = [...this.#idle].map((instance) => ({
      instance,
      usage: instance.owner.usage,
      facts: { startMs: instance.owner.facts.startMs, memoryBytes: instance.memoryBytes },
      idleMs: now - (instance.idleSince ?? now),
      age: instance.age,
    }));
    const { victims, age } = chooseVictims(idle, { instances: 0, bytes: lacking }, KEEP_ALIVE_POLICIES[keepAlive]);
    this.#age = Math.max(this.#age, age);
    for (const { instance } of victims) this.#remove(instance);
    this.#counts.evictions += victims.length;
    return true;
  }

  #remove(instance: SimulatedInstance): void {
    this.#setIdle(instance, undefined);
    this.#held.bytes -= instance.memoryBytes;
  }

  #setIdle(instance: SimulatedInstance, since: number | undefined): void {
    const { owner, memoryBytes } = instance;
    const wasIdle = instance.idleSince !== undefined;
    instance.idleSince = since;
    if (wasIdle) {
      this.#idle.delete(instance);
      owner.idle.splice(owner.idle.indexOf(instance), 1);
      this.#held.idleBytes -= memoryBytes;
    }
    if (since === undefined) return;
    this.#idle.add(instance);
    owner.idle.push(instance);
    this.#held.idleBytes += memoryBytes;
  }
}

/** The server gives calls to the oldest instance that has none, so that the younger ones fall idle. */
function oldestOf(idle: readonly SimulatedInstance[]): SimulatedInstance | undefined {
  return idle.reduce<SimulatedInstance | undefined>(
    (oldest, one) => (oldest && oldest.order < one.order ? oldest : one),
    undefined,
  );
}
