import { type FunctionLimits, reservedInstances, type ResolvedLimits } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import { decideAdmit, exceeds, type FunctionCalls, type NamespaceCalls } from './decide-admit.ts';

/** What is counted: the calls of one version. */
export interface CountedPool {
  readonly version: { readonly namespace: string; readonly name: string };
  readonly inFlight: number;
  readonly waiting: number;
  /** Whether it gets nothing but copies of calls, which count for nobody. */
  readonly isShadow: boolean;
}

/** What every call of one function passes, whichever version it goes to. */
export interface CallGate {
  /** Whether a limit holds at all; of everybody else nothing but this is looked at. */
  readonly isLimited: boolean;
  /** Throws FUNCTION_LIMIT or NAMESPACE_LIMIT unless one more call may come. */
  check(): void;
}

/** What others of the host cannot use. */
export interface Reservations {
  readonly functions: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly instances: number;
    /** Of each instance. */
    readonly bytes: number;
  }[];
  /** Share of the host by namespace, from 0 to 1. */
  readonly namespaces: ReadonlyMap<string, number>;
}

/** What a namespace may have: calls at once, and its share of the host from 0 to 1. */
export interface NamespaceBounds {
  readonly concurrency?: number | undefined;
  readonly reservedShare: number;
}

class FunctionGate implements CallGate {
  readonly name: string;
  readonly namespace: NamespaceGate;
  readonly pools = new Set<CountedPool>();
  isLimited = false;
  limits: FunctionLimits = { reserved: 0 };
  /** What that needs, by its live version; absent where nothing was said about its calls. */
  reserved: { readonly instances: number; readonly bytes: number } | undefined;

  constructor(name: string, namespace: NamespaceGate) {
    this.name = name;
    this.namespace = namespace;
    this.settle();
  }

  /** Counted when it is asked for: what is not kept cannot go wrong, and without a limit nobody asks. */
  get calls(): number {
    let calls = 0;
    for (const { inFlight, waiting, isShadow } of this.pools) if (!isShadow) calls += inFlight + waiting;
    return calls;
  }

  get facts(): FunctionCalls {
    return { calls: this.calls, ...this.limits };
  }

  settle(): void {
    this.isLimited = this.limits.concurrency !== undefined || this.namespace.bounds.concurrency !== undefined;
  }

  check(): void {
    const own = this.facts;
    const namespace = this.namespace.calls(this);
    const verdict = decideAdmit(own, namespace);
    if (verdict === 'admit') return;
    if (verdict === 'function') {
      const message = `${this.name} has ${own.calls} calls at once and "limits.concurrency" is ${own.concurrency}`;
      throw new EbbError('FUNCTION_LIMIT', message, { retryAfterSeconds: 1 });
    }
    const message = `namespace "${this.namespace.name}" has as many calls at once as it may: its "concurrency" is ${namespace.concurrency}, with what is reserved for other functions`;
    throw new EbbError('NAMESPACE_LIMIT', message, { retryAfterSeconds: 1 });
  }

  /** Whose limit keeps one more call out. */
  get isFull(): 'function' | 'namespace' | undefined {
    if (!this.isLimited) return undefined;
    const verdict = decideAdmit(this.facts, this.namespace.calls(this));
    return verdict === 'admit' ? undefined : verdict;
  }

  /** Whether it has more calls than it may: a limit was lowered. */
  get isExceeded(): boolean {
    return this.isLimited && exceeds(this.facts, this.namespace.calls(this));
  }
}

class NamespaceGate {
  readonly name: string;
  readonly functions = new Map<string, FunctionGate>();
  bounds: NamespaceBounds = { reservedShare: 0 };

  constructor(name: string) {
    this.name = name;
  }

  /** Its calls as one of its functions sees them. */
  calls(own: FunctionGate): NamespaceCalls {
    const others: FunctionCalls[] = [];
    // Without a limit of the namespace nobody asks for them.
    if (this.bounds.concurrency !== undefined) {
      for (const one of this.functions.values()) if (one !== own) others.push(one.facts);
    }
    return { concurrency: this.bounds.concurrency, others };
  }
}

/**
 * How many calls of functions and namespaces there may be at once, over all versions. A call counts from when it asks
 * for a slot until its slot came back; with several gateways a slot on lease counts as a call.
 */
export class CallLimits {
  readonly #namespaces = new Map<string, NamespaceGate>();

  /** Sets what a namespace may have; in force at once. */
  setNamespace(namespace: string, bounds: NamespaceBounds): void {
    const gate = this.#namespaceOf(namespace);
    gate.bounds = bounds;
    for (const one of gate.functions.values()) one.settle();
  }

  /** Sets what a function may have, by the limits of its live version; in force at once. */
  setFunction(namespace: string, name: string, limits: ResolvedLimits): void {
    const { calls } = limits;
    const isPlain = calls.concurrency === undefined && calls.reserved === 0;
    // Nothing is kept of the many that are neither limited nor called.
    if (isPlain && !this.#namespaces.get(namespace)?.functions.has(name)) return;
    const gate = this.#functionOf(namespace, name);
    gate.limits = calls;
    gate.reserved = isPlain ? undefined : { instances: reservedInstances(limits), bytes: limits.memoryBytes };
    gate.settle();
    this.#drop(gate);
  }

  /** Forgets what a function may have that was removed; calls that it still has are counted. */
  forget(namespace: string, name: string): void {
    const gate = this.#namespaces.get(namespace)?.functions.get(name);
    if (!gate) return;
    gate.limits = { reserved: 0 };
    gate.reserved = undefined;
    gate.settle();
    this.#drop(gate);
  }

  /** Has the calls of a version counted, and returns the gate they pass. */
  join(pool: CountedPool): CallGate {
    const gate = this.#functionOf(pool.version.namespace, pool.version.name);
    gate.pools.add(pool);
    return gate;
  }

  /** Counts a version no more: it has no calls and gets none. */
  leave(pool: CountedPool): void {
    const gate = this.#namespaces.get(pool.version.namespace)?.functions.get(pool.version.name);
    if (!gate?.pools.delete(pool)) return;
    this.#drop(gate);
  }

  /**
   * Whose calls keep another one of the function out: `NAMESPACE/NAME@` its own, `NAMESPACE/` those of its namespace;
   * undefined when one may come.
   */
  scopeInTheWay(namespace: string, name: string): string | undefined {
    const full = this.#namespaces.get(namespace)?.functions.get(name)?.isFull;
    if (full === undefined) return undefined;
    return full === 'function' ? `${namespace}/${name}@` : `${namespace}/`;
  }

  /** Whether a function has more calls than it may, since a limit was lowered. */
  isExceeded(namespace: string, name: string): boolean {
    return this.#namespaces.get(namespace)?.functions.get(name)?.isExceeded === true;
  }

  /** What others of the host leave room for. */
  reservations(): Reservations {
    const functions: Reservations['functions'][number][] = [];
    const namespaces = new Map<string, number>();
    for (const gate of this.#namespaces.values()) {
      if (gate.bounds.reservedShare > 0) namespaces.set(gate.name, gate.bounds.reservedShare);
      for (const { name, reserved } of gate.functions.values()) {
        if (reserved && reserved.instances > 0) functions.push({ namespace: gate.name, name, ...reserved });
      }
    }
    return { functions, namespaces };
  }

  #namespaceOf(namespace: string): NamespaceGate {
    const known = this.#namespaces.get(namespace);
    if (known) return known;
    const gate = new NamespaceGate(namespace);
    this.#namespaces.set(namespace, gate);
    return gate;
  }

  #functionOf(namespace: string, name: string): FunctionGate {
    const owner = this.#namespaceOf(namespace);
    const known = owner.functions.get(name);
    if (known) return known;
    const gate = new FunctionGate(name, owner);
    owner.functions.set(name, gate);
    return gate;
  }

  /** Lets go of a gate about which nothing was said and that nobody passes. */
  #drop(gate: FunctionGate): void {
    if (gate.pools.size === 0 && !gate.reserved) gate.namespace.functions.delete(gate.name);
  }
}
