import { type ErrorCode, ERRORS } from '@ebb/contract';
import type { Verdict } from './deliverer.ts';

/** What a call was for does not exist any more. */
const GONE: ReadonlySet<ErrorCode> = new Set(['FUNCTION_NOT_FOUND', 'ALIAS_NOT_FOUND', 'VERSION_NOT_FOUND']);
const TOO_MANY_STATUS = 429;

/**
 * Whose fault it is that a call of a function got no answer, by the catalog of errors. Limits are nobody's fault, like the
 * platform's own; that a function cannot be started is its own fault, like all else it does. But while no instance is started
 * because other calls ended theirs, a call that reached none is not to blame: nobody knows what it would do.
 */
export function classifyCallError(
  code: ErrorCode,
  hasReached: boolean,
): Extract<Verdict, 'failed' | 'platform' | 'refused' | 'gone'> {
  if (GONE.has(code)) return 'gone';
  if (code === 'INSTANCE_CRASHED' && !hasReached) return 'platform';
  const { fault, status } = ERRORS[code];
  if (fault === 'platform' || status === TOO_MANY_STATUS) return 'platform';
  return fault === 'function' ? 'failed' : 'refused';
}
