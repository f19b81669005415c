import type { ErrorCode } from '@ebb/contract';
import type { LaneSign } from './decide-lane-limit.ts';
import type { Delivered } from './deliverer.ts';

/** The function could not be started. */
const START_FAILURES: ReadonlySet<ErrorCode> = new Set([
  'START_FAILED',
  'HANDLER_FAILED',
  'NEVER_READY',
  'OUT_OF_MEMORY',
  'INSTANCE_BLOCKED',
]);
/** Statuses by which who is called may ask to come later. */
const LATER_STATUSES: ReadonlySet<number> = new Set([429, 503]);
/** Where nobody said when to come again. */
const RETRY_AFTER_MS = 1_000;

/** What an attempt says of its lane; undefined where it says nothing. */
export function classifyLaneSign(delivered: Delivered): LaneSign | undefined {
  const { verdict, status = 0, retryAfterMs, errorCode, instance } = delivered;
  switch (verdict) {
    case 'answered':
      return retryAfterMs !== undefined && LATER_STATUSES.has(status)
        ? { kind: 'asked', retryAfterMs }
        : { kind: 'taken' };
    case 'failed':
      return errorCode !== undefined && instance === undefined && START_FAILURES.has(errorCode)
        ? { kind: 'broken', retryAfterMs: retryAfterMs ?? RETRY_AFTER_MS }
        : { kind: 'taken' };
    case 'platform':
      return {
        kind: errorCode === 'INSTANCE_CRASHED' ? 'broken' : 'full',
        retryAfterMs: retryAfterMs ?? RETRY_AFTER_MS,
      };
    case 'refused':
    case 'gone':
      return { kind: 'taken' };
    case 'aborted':
      return undefined;
  }
}
