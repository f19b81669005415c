import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import { addressKey } from './address-key.ts';
import { attemptsLeft, decideBackoff, type Failures } from './decide-backoff.ts';

/** Addresses remembered at once; beyond that the one that failed longest ago is forgotten. */
const MAX_ADDRESSES = 10_000;

/** Slows down guessing, by address. */
export interface GuessGuard {
  /** Throws TOO_MANY_ATTEMPTS while the address is held back. */
  check(address: string): void;
  /**
   * Counts an attempt that is about to be verified, so that guesses sent at once cannot outrun the count. Throws
   * TOO_MANY_ATTEMPTS when as many are under way as the address has left. The attempt ends by calling the result.
   */
  begin(address: string): (outcome: AttemptOutcome) => void;
}

/** How an attempt ended; `unknown` when it could not be verified, which counts neither way. */
export type AttemptOutcome = 'right' | 'wrong' | 'unknown';

/** Makes the guard: {@link decideBackoff} applied to a bounded memory of addresses. */
export function createGuessGuard(clock: Clock): GuessGuard {
  const failures = new Map<string, Failures>();
  const underWay = new Map<string, number>();

  const check = (key: string, now: number): number => {
    const known = failures.get(key);
    const left = attemptsLeft(known, now);
    if (left > 0) return left;
    throw held(Math.ceil(((known?.heldUntil ?? now) - now) / 1000));
  };

  const end = (key: string, outcome: AttemptOutcome): void => {
    const others = (underWay.get(key) ?? 1) - 1;
    if (others === 0) underWay.delete(key);
    else underWay.set(key, others);
    if (outcome === 'unknown') return;
    const known = failures.get(key);
    failures.delete(key);
    if (outcome === 'right') return;
    failures.set(key, decideBackoff(known, clock.monotonic()));
    const oldest = failures.size > MAX_ADDRESSES ? failures.keys().next().value : undefined;
    if (oldest !== undefined) failures.delete(oldest);
  };

  return {
    check(address) {
      check(addressKey(address), clock.monotonic());
    },

    begin(address) {
      const key = addressKey(address);
      const left = check(key, clock.monotonic());
      const others = underWay.get(key) ?? 0;
      if (others >= left) throw held(1);
      underWay.set(key, others + 1);
      return (outcome) => end(key, outcome);
    },
  };
}

function held(seconds: number): EbbError {
  const retryAfterSeconds = Math.max(seconds, 1);
  return new EbbError(
    'TOO_MANY_ATTEMPTS',
    `too many wrong credentials came from this address; try again in ${retryAfterSeconds} s`,
    { retryAfterSeconds },
  );
}
