/** What can be given to another process for a while. */
export interface Lendable {
  /** Closes the file; what is asked from then on waits until {@link takeBack}. */
  lend(): Promise<void>;
  /** Lends for good: those who wait get the error, and so do all who come before {@link takeBack}. Called again, another. */
  giveAway(error: Error): void;
  /** Opens the file again, if it is lent and wanted still. Throws what opening it throws; then the next call tries again. */
  takeBack(): Promise<void>;
}

/** A store that may be lent, for those who make one of it that looks like any other. */
export interface Lending<Store extends AsyncDisposable> extends Lendable, AsyncDisposable {
  /** The store; while it is lent, once it is back. Throws the error it was given away with. */
  readonly use: () => Promise<Store>;
}

/** Opens a store that may be lent; `open` is called again each time it is taken back. */
export async function openLending<Store extends AsyncDisposable>(open: () => Promise<Store>): Promise<Lending<Store>> {
  let current: Promise<Store> = Promise.resolve(await open());
  let lent: PromiseWithResolvers<Store> | undefined;
  let isDisposed = false;
  const lendTo = (next: PromiseWithResolvers<Store>) => {
    // Nobody may be waiting when it is given away.
    next.promise.catch(() => {});
    lent = next;
    current = next.promise;
  };
  return {
    use: () => current,
    async lend() {
      if (lent) return;
      const store = await current;
      lendTo(Promise.withResolvers<Store>());
      await store[Symbol.asyncDispose]();
    },
    giveAway(reason) {
      if (!lent) return;
      lent.reject(reason);
      lendTo(Promise.withResolvers<Store>());
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
