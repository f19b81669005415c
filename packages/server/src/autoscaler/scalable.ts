import type { InstanceState, ResolvedLimits } from '@ebb/contract';
import type { ScaleReason } from '../pool/pool-size.ts';

/** One version as the autoscaler sees it. */
export interface Scalable {
  readonly version: { readonly namespace: string; readonly name: string; readonly limits: ResolvedLimits };
  readonly inFlight: number;
  readonly waiting: number;
  readonly ready: number;
  readonly starting: number;
  /** Instances it gave up that have not ended. */
  readonly releasing: number;
  readonly size: number;
  readonly retiring: boolean;
  /** Asynchronous calls that were not begun yet; absent for none. */
  readonly backlog?: number;
  /** Fewest instances without traffic; absent for what the version says. */
  readonly minimum?: number;
  /** Whether somebody scaled it to zero and no call has woken it since. */
  readonly isAtZero?: boolean;
  /** Whether its minimum and schedule hold; they do unless it is false. */
  readonly isListed?: boolean;
  /** Instances kept for calls that are about to come; absent for none. */
  readonly held?: number;
  /** Calls that asked for a slot since it was made. */
  readonly arrivals: number;
  /** How long its instances take to start, in milliseconds, once that is known. */
  readonly startMs: number | undefined;
  idleMs(): number[];
  instances(): readonly { readonly id: string; readonly state: InstanceState }[];
  scaleTo(desired: number, why: ScaleReason): void;
  /** Gives instances up to others, busy ones as they come free; `reason` is for people. */
  giveUp(count: number, reason: string): void;
}
