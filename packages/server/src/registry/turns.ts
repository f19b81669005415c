/** Lets work on one key happen one after the other, in the order it was asked for. */
export interface Turns {
  /** Runs `work` once all earlier work on `key` has ended, well or not. */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
}

/** Makes turns; a key costs memory only while work on it is waiting or running. */
export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return {
    async run(key, work) {
      const before = last.get(key);
      const mine = before ? before.then(work, work) : work();
      last.set(key, mine);
      try {
        return await mine;
      } finally {
        if (last.get(key) === mine) last.delete(key);
      }
    },
  };
}
