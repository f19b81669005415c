import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Queue } from '../store/queue.ts';
import type { PayloadFiles } from './payload-files.ts';

/** Records forgotten in one go: others wait for it no longer than for a commit. */
const FORGET_AT_ONCE = 1_000;
const FORGET_EVERY_MS = 10_000;
const SWEEP_EVERY_MS = 600_000;

/** What is kept how long. */
export interface HousekeepingOptions {
  readonly queue: Pick<Queue, 'forget' | 'filesInUse'>;
  readonly files: Pick<PayloadFiles, 'sweep'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Pick<Logger, 'error'>;
  /** How long calls that succeeded or were cancelled are kept. */
  readonly keptMs: number;
  readonly deadKeptMs: number;
}

/** Forgets calls that ended long ago and removes files that nothing refers to, from now on until it is disposed. */
export function startHousekeeping(options: HousekeepingOptions): AsyncDisposable {
  const { queue, files, clock, logger, keptMs, deadKeptMs } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const forget = async (): Promise<void> => {
    for (;;) {
      const now = clock.now();
      const endedBefore = now - keptMs;
      const forgotten = await queue.forget(
        { succeededBefore: endedBefore, cancelledBefore: endedBefore, deadBefore: now - deadKeptMs },
        now,
        FORGET_AT_ONCE,
      );
      if (forgotten < FORGET_AT_ONCE || signal.aborted) return;
    }
  };
  const loops = [
    every(FORGET_EVERY_MS, forget),
    every(SWEEP_EVERY_MS, async () => void (await files.sweep((digests) => queue.filesInUse(digests)))),
  ];
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.all(loops.map((loop) => loop[Symbol.asyncDispose]()));
    },
  };

  function every(ms: number, work: () => Promise<void>): AsyncDisposable {
    let running: Promise<void> | undefined;
    let isFailing = false;
    const run = async (): Promise<void> => {
      try {
        await work();
        isFailing = false;
      } catch (error) {
        // Tried again at the next turn; said once.
        if (!isFailing && !signal.aborted)
          logger.error({ err: error }, 'old asynchronous calls could not be cleared away');
        isFailing = true;
      }
      running = undefined;
    };
    const timer = setInterval(() => {
      running ??= run();
    }, ms).unref();
    return {
      async [Symbol.asyncDispose]() {
        clearInterval(timer);
        // What waits for a queue that is another server's by now would never end.
        await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
      },
    };
  }
}
