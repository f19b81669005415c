import type { KeepAlive } from '@ebb/contract';
import type { Usage } from './fold-usage.ts';

/** What a policy is told of a function beside how it is used. */
export interface KeepAliveFacts {
  /** What the spec says in `scale.idle`, in milliseconds. */
  readonly idleMs: number;
  /** How long an instance takes to start, in milliseconds. */
  readonly startMs: number;
  /** What an instance holds of the host's memory. */
  readonly memoryBytes: number;
  /** What all instances together may hold; absent where nobody set it. */
  readonly memoryBudgetBytes?: number | undefined;
}

/** What is to be done with the instances of a function that has no call; times count from its last call. */
export interface KeepAlivePlan {
  /** An instance is let go when it was idle for this long; it may be Infinity. */
  readonly keepMs: number;
  /** When one instance is to be there for the next call although none has come. */
  readonly prewarm?: { readonly fromMs: number; readonly untilMs: number };
}

/**
 * The worth of what was last given up on a host. What is used gets the age of its time as a head start, so that what
 * is not used any more falls behind in the end. It only grows.
 */
export type EvictionAge = number;

/** An idle instance that may have to make room. */
export interface IdleInstance {
  readonly usage: Usage;
  readonly facts: Pick<KeepAliveFacts, 'startMs' | 'memoryBytes'>;
  /** How long it has had no request, in milliseconds. */
  readonly idleMs: number;
  /** The host's age when it was last used. */
  readonly age: EvictionAge;
}

/** Decides how long idle instances are kept, and which of them go first. Pure: equal arguments, equal answers. */
export interface KeepAlivePolicy {
  readonly name: KeepAlive;
  plan(usage: Usage, facts: KeepAliveFacts): KeepAlivePlan;
  /** What keeping an instance is worth; the least goes first when there is no room. */
  value(instance: IdleInstance): number;
}
