import { setTimeout as sleep } from 'node:timers/promises';

/** How often a call that is waited for is looked at, at first and at most. */
const FIRST_LOOK_MS = 10;
const LAST_LOOK_MS = 2_000;

/** Those who wait for calls to end. */
export interface Waiters {
  /** For whoever settles calls: this one has ended. Without it the end is seen up to two seconds later. */
  ended(id: string): void;
  /** Ends all waits, and from now on each at once, until {@link goOn}. */
  hold(): void;
  goOn(): void;
  /** Looks until `look` finds something, the time is over, the signal aborts or waits are held; then what it found last. */
  wait<T>(id: string, look: () => Promise<Look<T>>, limitMs: number, signal?: AbortSignal): Promise<T>;
}

/** What was found, and whether that is what is waited for. */
export interface Look<T> {
  readonly found: T;
  readonly isOver: boolean;
}

/** Makes the list of those who wait; it is empty. */
export function createWaiters(): Waiters {
  const byId = new Map<string, Set<() => void>>();
  let isHeld = false;
  const wake = (id: string): void => {
    for (const resolve of byId.get(id) ?? []) resolve();
  };
  return {
    ended: wake,
    hold() {
      isHeld = true;
      for (const id of byId.keys()) wake(id);
    },
    goOn() {
      isHeld = false;
    },
    async wait(id, look, limitMs, signal) {
      const untilMs = performance.now() + limitMs;
      for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 2, LAST_LOOK_MS)) {
        // Before the look, so that an end right after it is not missed.
        const { promise, resolve } = Promise.withResolvers<void>();
        const waiting = byId.get(id) ?? new Set();
        byId.set(id, waiting.add(resolve));
        const done = new AbortController();
        try {
          const { found, isOver } = await look();
          const leftMs = untilMs - performance.now();
          if (isOver || isHeld || leftMs <= 0 || signal?.aborted === true) return found;
          const either = signal ? AbortSignal.any([signal, done.signal]) : done.signal;
          const pause = sleep(Math.min(pauseMs, leftMs), undefined, { signal: either }).catch(() => {});
          await Promise.race([promise, pause]);
        } finally {
          done.abort();
          waiting.delete(resolve);
          if (waiting.size === 0) byId.delete(id);
        }
      }
    },
  };
}
