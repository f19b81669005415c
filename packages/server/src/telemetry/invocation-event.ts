import type { ErrorCode, WaitReport } from '@ebb/contract';

/** Where the time of a call went, in milliseconds. */
export interface InvocationPhases {
  /** From the arrival of the request until it had a slot. */
  readonly queueMs: number;
  /** From the slot to the first byte of the answer; absent when none came. */
  readonly firstByteMs?: number | undefined;
}

/** What is known of a call that was the copy of another, for a shadow version. */
export interface ShadowReport {
  /** Id of the call it was a copy of. */
  readonly of: string;
  readonly outcome: ShadowOutcome;
  /** Status of the call itself. */
  readonly primaryStatus: number;
  /** How long the call itself took. */
  readonly primaryMs: number;
}

/** What came of the copy of a call, beside the answer the caller got. */
export type ShadowOutcome =
  /** Status and body are the same. */
  | 'same'
  | 'status-differs'
  | 'body-differs'
  /** The shadow version gave no answer of its own: it crashed, hung beyond its timeout or could not be started. */
  | 'failed'
  /** No copy was sent: no slot was free, or the body was too large. */
  | 'dropped'
  /** There is nothing to compare: the call itself got no whole answer of its function, or one too large to compare. */
  | 'uncompared';

/**
 * The one wide event of an invocation, made when its last byte has passed. Metrics, the call's line in the
 * function's log, and later traces and metering all derive from it.
 */
export interface InvocationEvent {
  readonly callId: string;
  readonly namespace: string;
  readonly name: string;
  /** `NAME.NAMESPACE`: one string for all calls of a function, so that finding its series is cheap. */
  readonly label: string;
  /** The version that served, or 0 when the name meant no function. */
  readonly version: number;
  /** The instance that served; absent when none did. */
  readonly instance?: string | undefined;
  readonly method: string;
  /** Status the caller got; 499 when the caller went away before there was one. */
  readonly status: number;
  /** Set when the platform, not the function, made the answer. */
  readonly errorCode?: ErrorCode | undefined;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  /** From the arrival of the request to the last byte of the answer. */
  readonly durationMs: number;
  /** Whether the call had to wait for an instance to start. */
  readonly cold: boolean;
  /** What it waited for: the cause and, for a cold call, how long each part of its instance's start took. */
  readonly wait?: WaitReport | undefined;
  readonly phases: InvocationPhases;
  /** Bytes of the request's body. */
  readonly bytesIn?: number | undefined;
  /** Bytes of the answer's body. */
  readonly bytesOut?: number | undefined;
  /** Number of the attempt, from 1, where the platform made the call for a queue, a job, a trigger or a workflow. */
  readonly attempt?: number | undefined;
  /** Set where the call was the copy of another: nobody got its answer, and it counts as no call. */
  readonly shadow?: ShadowReport | undefined;
}
