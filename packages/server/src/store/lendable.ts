import type { KeyValue } from './key-value.ts';

/** A store whose file can be given to another process for a while. */
export interface LendableStore extends KeyValue {
  /** Closes the file; what is asked from then on waits until {@link takeBack}. */
  lend(): Promise<void>;
  /** Opens the file again. Throws what opening it throws; then the next call tries again. */
  takeBack(): Promise<void>;
}

/** Makes a store of one that `open` opens. */
export async function openLendable(open: () => Promise<KeyValue>): Promise<LendableStore> {
  let current: Promise<KeyValue> = Promise.resolve(await open());
  let giveBack: ((store: KeyValue) => void) | undefined;
  return {
    get: async (key) => (await current).get(key),
    list: async (prefix) => (await current).list(prefix),
    commit: async (writes) => (await current).commit(writes),
    async lend() {
      if (giveBack) return;
      const store = await current;
      const { promise, resolve } = Promise.withResolvers<KeyValue>();
      current = promise;
      giveBack = resolve;
      await store[Symbol.asyncDispose]();
    },
    async takeBack() {
      if (!giveBack) return;
      giveBack(await open());
      giveBack = undefined;
    },
    async [Symbol.asyncDispose]() {
      // What is lent is closed already.
      if (!giveBack) await (await current)[Symbol.asyncDispose]();
    },
  };
}
