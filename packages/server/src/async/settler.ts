import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../core/logger.ts';
import type { Queue, Settlement } from '../store/queue.ts';

/** Settlements that are written in one go. */
const MAX_BATCH = 500;
/** How long after the store failed it is tried again. */
const AGAIN_MS = 250;

/** Ends attempts in the queue; those of one moment in one commit. */
export interface Settler {
  /** How many are not on disk yet. */
  readonly pending: number;
  /**
   * True once it is on disk; false when the receipt does not count any more (A4), or the lease ran out before the store
   * took it. While the store fails it is tried again, for as long as `isHeld` says that the lease lasts. Never rejects.
   */
  settle(settlement: Settlement, isHeld: () => boolean): Promise<boolean>;
}

interface Waiting {
  readonly settlement: Settlement;
  readonly isHeld: () => boolean;
  readonly resolve: (isSettled: boolean) => void;
}

/** Makes a {@link Settler}. */
export function createSettler(options: {
  readonly queue: Pick<Queue, 'settle'>;
  readonly logger: Pick<Logger, 'error'>;
  /** How long to leave between two commits now, in milliseconds; the first after a pause is never late. Default: none. */
  readonly apartMs?: () => number;
}): Settler {
  const { queue, logger, apartMs = () => 0 } = options;
  let waiting: Waiting[] = [];
  let pending = 0;
  let isWriting = false;
  let isFailing = false;
  let wroteMs = -Infinity;

  const finish = ({ resolve }: Waiting, isSettled: boolean) => {
    pending -= 1;
    resolve(isSettled);
  };

  const write = async (): Promise<void> => {
    while (waiting.length > 0) {
      const earlyMs = wroteMs + apartMs() - performance.now();
      if (earlyMs > 0) await sleep(earlyMs);
      wroteMs = performance.now();
      const batch = waiting.splice(0, MAX_BATCH);
      try {
        const settled = await queue.settle(batch.map(({ settlement }) => settlement));
        isFailing = false;
        for (const [i, one] of batch.entries()) finish(one, settled[i] === true);
      } catch (error) {
        // Whether it is on disk is not known; a second time it would change nothing, and is said to be no more.
        if (!isFailing)
          logger.error({ err: error }, 'the outcome of asynchronous calls cannot be written; it is tried again');
        isFailing = true;
        const [kept, lost] = [batch.filter(({ isHeld }) => isHeld()), batch.filter(({ isHeld }) => !isHeld())];
        for (const one of lost) finish(one, false);
        waiting = [...kept, ...waiting];
        await sleep(AGAIN_MS);
      }
    }
    isWriting = false;
  };

  return {
    get pending() {
      return pending;
    },
    settle(settlement, isHeld) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      pending += 1;
      waiting.push({ settlement, isHeld, resolve });
      if (!isWriting) {
        isWriting = true;
        // Those of the same turn go with it.
        setImmediate(() => void write());
      }
      return promise;
    },
  };
}
