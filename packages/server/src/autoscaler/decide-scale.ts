import type { ResolvedLimits } from '@ebb/contract';

/** What is known of one version when its size is decided. */
export interface ScaleObservation {
  /** Requests that hold a slot. */
  readonly inFlight: number;
  /** Requests that wait for one. */
  readonly waiting: number;
  /** Instances that can take requests. */
  readonly ready: number;
  /** Instances on their way. */
  readonly starting: number;
  /** For every ready instance that holds no request: how long, in milliseconds. */
  readonly idleMs: readonly number[];
  /** Whether the version no longer serves new requests and only finishes what it has. */
  readonly retiring: boolean;
}

/** How many instances there should be, or that nothing is to be done. */
export type ScaleDecision =
  | { readonly kind: 'scale'; readonly desired: number; readonly reason: string }
  | { readonly kind: 'hold'; readonly reason: string };

/**
 * Decides the size of one version from its load: one instance per `concurrency` requests at once, between `min`
 * and `max`. It grows at once and shrinks only by instances that were idle for `idleMs`; a retiring version has
 * no minimum and gives idle instances up immediately.
 */
export function decideScale(limits: ResolvedLimits, seen: ScaleObservation | undefined): ScaleDecision {
  if (!seen) return { kind: 'hold', reason: 'no data' };
  const min = seen.retiring ? 0 : limits.scaleMin;
  const idleLimitMs = seen.retiring ? 0 : limits.idleMs;
  const load = seen.inFlight + seen.waiting;
  const wanted = Math.min(limits.scaleMax, Math.max(min, Math.ceil(load / limits.concurrency)));
  const have = seen.ready + seen.starting;
  if (wanted > have) return { kind: 'scale', desired: wanted, reason: `${load} requests at once` };
  if (wanted === have) return { kind: 'hold', reason: 'as many as needed' };
  const expired = seen.idleMs.filter((ms) => ms >= idleLimitMs).length;
  const desired = Math.max(wanted, have - expired);
  if (desired === have) return { kind: 'hold', reason: 'idle, but not for long enough' };
  return { kind: 'scale', desired, reason: `${have - desired} idle for ${idleLimitMs} ms` };
}
