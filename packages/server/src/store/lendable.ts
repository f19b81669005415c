import type { KeyValue } from './key-value.ts';

/** A store whose file can be given to another process for a while. */
export interface LendableStore extends KeyValue {
  /** Closes the file; what is asked from then on waits until {@link takeBack}. */
  lend(): Promise<void>;
  /** Lends for good: those who wait get the error, and so do all who come before {@link takeBack}. Called again, another. */
  giveAway(error: Error): void;
  /** Opens the file again, if it is lent and wanted still. Throws what opening it throws; then the next call tries again. */
  takeBack(): Promise<void>;
}

/** Makes a store of one that `open` opens. */
export async function openLendable(open: () => Promise<KeyValue>): Promise<LendableStore> {
  let current: Promise<KeyValue> = Promise.resolve(await open());
  let lent: PromiseWithResolvers<KeyValue> | undefined;
  let isDisposed = false;
  const lendTo = (next: PromiseWithResolvers<KeyValue>) => {
    // Nobody may be waiting when it is given away.
    next.promise.catch(() => {});
    lent = next;
    current = next.promise;
  };
  return {
    get: async (key) => (await current).get(key),
    list: async (prefix) => (await current).list(prefix),
    commit: async (writes) => (await current).commit(writes),
    async lend() {
      if (lent) return;
      const store = await current;
      lendTo(Promise.withResolvers<KeyValue>());
      await store[Symbol.asyncDispose]();
    },
    giveAway(reason) {
      if (!lent) return;
      lent.reject(reason);
      lendTo(Promise.withResolvers<KeyValue>());
      lent.reject(reason);
    },
    async takeBack() {
      if (!lent || isDisposed) return;
      const store = await open();
      if (isDisposed) {
        await store[Symbol.asyncDispose]();
        return;
      }
      lent.resolve(store);
      // Where it was given away already, nobody waits for that any more.
      current = Promise.resolve(store);
      lent = undefined;
    },
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      // What is lent is closed already.
      if (!lent) await (await current)[Symbol.asyncDispose]();
    },
  };
}
