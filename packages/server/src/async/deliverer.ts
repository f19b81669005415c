import type { ErrorCode } from '@ebb/contract';
import type { Lease, StoredResult } from '../store/queue.ts';

/**
 * What an attempt came to, before the policy of its function is asked:
 * - `answered`: there is an answer, with a status that may be anything.
 * - `failed`: there is none, and whoever was called is to blame.
 * - `platform`: there is none, and the platform or a limit is to blame; nobody's attempts are used up.
 * - `refused`: it can never be made, for instance because its address is forbidden.
 * - `gone`: what it was for does not exist any more.
 * - `aborted`: the signal aborted.
 */
export type Verdict = 'answered' | 'failed' | 'platform' | 'refused' | 'gone' | 'aborted';

/** How one attempt went. */
export interface Delivered {
  readonly verdict: Verdict;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** The version and instance that served, where one did. */
  readonly version?: number | undefined;
  readonly instance?: string | undefined;
  /** Status of the answer, or of the platform's error. */
  readonly status?: number | undefined;
  readonly errorCode?: ErrorCode | undefined;
  /** What went wrong, in one sentence. */
  readonly message?: string | undefined;
  /** Whether the answer is not the function's own but of what serves it, whose errors can all pass. */
  readonly isInternal?: boolean | undefined;
  /** When another attempt is welcome, where whoever was called said so. */
  readonly retryAfterMs?: number | undefined;
  /** The answer, where it is to be kept. */
  readonly result?: StoredResult | undefined;
}

/** Makes attempts of calls for one kind of target. */
export interface Deliverer {
  /** Makes one attempt; never rejects. After `signal` aborts, what was begun is undone and the verdict is `aborted`. */
  deliver(lease: Lease, signal: AbortSignal): Promise<Delivered>;
}
