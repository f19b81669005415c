import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Queue } from '../store/queue.ts';
import type { RunningAttempt } from './running-attempt.ts';

/** Of a lease's length, the part after which it is extended. */
const EXTEND_SHARE = 3;

/** Keeps the leases of attempts that run, and ends those whose lease is lost (A4). */
export interface LeaseKeeper extends Disposable {
  add(attempt: RunningAttempt): void;
  remove(attempt: RunningAttempt): void;
  /** Extends every lease from now on; false when the store failed. */
  extendAll(now: number): Promise<boolean>;
}

/** What leases are kept with. */
export interface LeaseKeeperOptions {
  readonly queue: Pick<Queue, 'extend'>;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly logger: Pick<Logger, 'error'>;
}

/**
 * Extends leases every third of their length, all together. An attempt whose receipt does not count any more is ended,
 * and so is one whose lease may have run out because the store does not answer: somebody else may have the call then.
 */
export function createLeaseKeeper({ queue, clock, leaseMs, logger }: LeaseKeeperOptions): LeaseKeeper {
  const attempts = new Set<RunningAttempt>();
  const beatMs = leaseMs / EXTEND_SHARE;
  let isFailing = false;

  const extendAll = async (now: number): Promise<boolean> => {
    const held = [...attempts];
    if (held.length === 0) return true;
    const heldUntilMs = clock.monotonic() + leaseMs;
    try {
      const extended = await queue.extend(
        held.map(({ lease }) => lease.receipt),
        now + leaseMs,
      );
      isFailing = false;
      for (const [i, attempt] of held.entries()) {
        if (extended[i] === true) attempt.heldUntilMs = heldUntilMs;
        // One that was settled meanwhile has none any more and needs none.
        else if (attempts.has(attempt) && !attempt.isEnded) attempt.stop({ kind: 'lost' });
      }
      return true;
    } catch (error) {
      if (!isFailing)
        logger.error({ err: error }, 'the leases of asynchronous calls cannot be extended; it is tried again');
      isFailing = true;
      return false;
    }
  };

  const beat = async (): Promise<void> => {
    // A store that does not answer at all is waited for until the next beat.
    await Promise.race([extendAll(clock.now()), sleep(beatMs, undefined, { ref: false })]);
    const nowMs = clock.monotonic();
    for (const attempt of attempts) if (attempt.heldUntilMs <= nowMs) attempt.stop({ kind: 'lost' });
  };
  const timer = setInterval(() => void beat(), beatMs).unref();
  return {
    add: (attempt) => void attempts.add(attempt),
    remove: (attempt) => void attempts.delete(attempt),
    extendAll,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
