import type { EbbError } from './errors.ts';

/** How many pieces of work a lane takes. */
export interface LaneOptions {
  /** Done at once. */
  readonly running: number;
  /** Waiting at once; more are refused with `refuse()`. Without it any number may wait. */
  readonly queue?: { readonly waiting: number; readonly refuse: () => EbbError };
}

/** Does work in the order it is asked for, a bounded number of pieces at once. */
export type Lane = <T>(work: () => Promise<T>) => Promise<T>;

/** Makes a lane, for work that takes so much of the machine that many at once would take it all. */
export function createLane({ running: most, queue }: LaneOptions): Lane {
  const waiting: (() => void)[] = [];
  let running = 0;

  const enter = async (): Promise<void> => {
    if (running < most) {
      running += 1;
      return;
    }
    if (queue && waiting.length >= queue.waiting) throw queue.refuse();
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
