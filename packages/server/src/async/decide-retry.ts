/** What is known when an attempt is to be made again. All moments are milliseconds since the Unix epoch. */
export interface RetryFacts {
  /** How many attempts in a row were in vain, this one included; from 1. */
  readonly inVain: number;
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
  /** When another attempt is welcome, where somebody said so. */
  readonly retryAfterMs?: number | undefined;
  readonly now: number;
  /** No attempt begins at that moment or later. */
  readonly expiresAt: number;
  /** From 0 up to 1. */
  readonly random: number;
}

/** When the next attempt may begin; `expired` where that would be too late. */
export type RetryDecision = { readonly kind: 'at'; readonly at: number } | { readonly kind: 'expired' };

/** Of a wait that was asked for, the share that is added by chance, so that not all come back at once. */
const SPREAD_SHARE = 0.1;
const MAX_SPREAD_MS = 1_000;
/** Beyond it doubling leaves the range of exact integers, and any longest wait. */
const MAX_DOUBLINGS = 40;

/**
 * Exponential back-off with jitter. The wait is drawn evenly from the upper half of a range that doubles with each
 * attempt: from `minWaitMs` to twice that after the first, up to between half of `maxWaitMs` and `maxWaitMs`. A wait that
 * was asked for takes its place, if it is not shorter than `minWaitMs`.
 */
export function decideRetry(facts: RetryFacts): RetryDecision {
  const { now, expiresAt } = facts;
  const at = now + Math.round(facts.retryAfterMs === undefined ? drawnMs(facts) : askedMs(facts, facts.retryAfterMs));
  return at < expiresAt ? { kind: 'at', at } : { kind: 'expired' };
}

function drawnMs({ inVain, minWaitMs, maxWaitMs, random }: RetryFacts): number {
  const ceiling = Math.min(maxWaitMs, minWaitMs * 2 ** Math.min(Math.max(1, inVain), MAX_DOUBLINGS));
  const floor = Math.max(minWaitMs, ceiling / 2);
  return floor + random * Math.max(0, ceiling - floor);
}

function askedMs({ minWaitMs, random }: RetryFacts, retryAfterMs: number): number {
  const ms = Math.max(minWaitMs, retryAfterMs);
  return ms + random * Math.min(MAX_SPREAD_MS, ms * SPREAD_SHARE);
}
