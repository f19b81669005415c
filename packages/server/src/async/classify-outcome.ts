import type { DeadReason } from '@ebb/contract';
import type { Delivered } from './deliverer.ts';

/** What a call's own policy says of outcomes. */
export interface OutcomePolicy {
  /** Most attempts that may end by the function's own fault. */
  readonly attempts: number;
  readonly retryStatuses: ReadonlySet<number>;
}

/** What an attempt means for its call. */
export type Conclusion =
  | { readonly kind: 'succeeded' }
  /** `counts` where it used up one of the attempts. */
  | { readonly kind: 'retry'; readonly counts: boolean }
  | { readonly kind: 'dead'; readonly reason: DeadReason; readonly counts: boolean };

const FIRST_ERROR_STATUS = 400;
const TOO_MANY_STATUS = 429;

/**
 * Says what an attempt means for its call; `failures` are those that counted before. An answer below 400 is a success.
 * What is the fault of whoever was called counts and is tried again while attempts are left, an answer only where its
 * status is one that can pass, or where what serves the function made it. A 429 with `Retry-After` asks to come later and is nobody's fault. An attempt that was
 * aborted was stopped by the platform: who cancels a call says so beside this.
 */
export function classifyOutcome(
  { verdict, status, retryAfterMs, isInternal }: Pick<Delivered, 'verdict' | 'status' | 'retryAfterMs' | 'isInternal'>,
  policy: OutcomePolicy,
  failures: number,
): Conclusion {
  switch (verdict) {
    case 'answered': {
      const code = status ?? 0;
      if (code < FIRST_ERROR_STATUS) return { kind: 'succeeded' };
      if (code === TOO_MANY_STATUS && retryAfterMs !== undefined && policy.retryStatuses.has(code))
        return { kind: 'retry', counts: false };
      return failed(isInternal === true ? undefined : code, policy, failures);
    }
    case 'failed':
      return failed(status, policy, failures);
    case 'platform':
    case 'aborted':
      return { kind: 'retry', counts: false };
    case 'refused':
      return { kind: 'dead', reason: 'refused', counts: false };
    case 'gone':
      return { kind: 'dead', reason: 'gone', counts: false };
  }
}

function failed(status: number | undefined, policy: OutcomePolicy, failures: number): Conclusion {
  // Without a status there was no answer at all, which can pass.
  if (status !== undefined && !policy.retryStatuses.has(status))
    return { kind: 'dead', reason: 'status', counts: true };
  if (failures + 1 >= policy.attempts) return { kind: 'dead', reason: 'attempts', counts: true };
  return { kind: 'retry', counts: true };
}
