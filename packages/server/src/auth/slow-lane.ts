import { EbbError } from '../core/errors.ts';

/** Secrets hashed at once, and those that may wait for it: each takes memory and a core. */
const RUNNING = 2;
const WAITING = 32;

/** Runs a few pieces of work at once and lets a bounded number wait; beyond that it throws TOO_MANY_ATTEMPTS. */
export type SlowLane = <T>(work: () => Promise<T>) => Promise<T>;

/** Makes the lane in which secrets are hashed, so that a flood of guesses cannot take the machine. */
export function createSlowLane(): SlowLane {
  const waiting: (() => void)[] = [];
  let running = 0;

  const enter = async (): Promise<void> => {
    if (running < RUNNING) {
      running += 1;
      return;
    }
    if (waiting.length >= WAITING) {
      const retryAfterSeconds = 1;
      throw new EbbError('TOO_MANY_ATTEMPTS', 'too many credentials are being checked at once; try again in 1 s', {
        retryAfterSeconds,
      });
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  };

  return async (work) => {
    await enter();
    try {
      return await work();
    } finally {
      // The place is handed on rather than freed, so nobody who comes later can take it first.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
