/** What can be given to another process for a while. */
export interface Lendable {
  /** Closes the file once nothing is done with it any more; what is asked from then on waits until {@link takeBack}. */
  lend(): Promise<void>;
  /** Lends for good: those who wait get the error, and so do all who come before {@link takeBack}. Called again, another. */
  giveAway(error: Error): void;
  /** Opens the file again, if it is lent and wanted still. Throws what opening it throws; then the next call tries again. */
  takeBack(): Promise<void>;
}

/** A store that may be lent, for those who make one of it that looks like any other. */
export interface Lending<Store extends AsyncDisposable> extends Lendable, AsyncDisposable {
  /** Does work with the store; while it is lent, once it is back. Throws the error it was given away with. */
  readonly use: <Result>(work: (store: Store) => Promise<Result>) => Promise<Result>;
}

/** Opens a store that may be lent; `open` is called again each time it is taken back. */
export async function openLending<Store extends AsyncDisposable>(open: () => Promise<Store>): Promise<Lending<Store>> {
  let here: Store | undefined = await open();
  let lent = Promise.withResolvers<Store>();
  let isDisposed = false;
  let running = 0;
  let onIdle: (() => void) | undefined;

  const lendTo = (): void => {
    here = undefined;
    lent = Promise.withResolvers<Store>();
    // Nobody may be waiting when it is given away.
    lent.promise.catch(() => {});
  };
  const idle = async (): Promise<void> => {
    if (running === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    onIdle = resolve;
    await promise;
  };
  const run = async <Result>(store: Store, work: (store: Store) => Promise<Result>): Promise<Result> => {
    running += 1;
    try {
      return await work(store);
    } finally {
      running -= 1;
      if (running === 0) onIdle?.();
    }
  };
  return {
    use: (work) => (here ? run(here, work) : lent.promise.then((store) => run(store, work))),
    async lend() {
      const store = here;
      if (!store) return;
      lendTo();
      await idle();
      await store[Symbol.asyncDispose]();
    },
    giveAway(reason) {
      if (here) return;
      lent.reject(reason);
      lendTo();
      lent.reject(reason);
    },
    async takeBack() {
      if (here || isDisposed) return;
      const store = await open();
      if (isDisposed) {
        await store[Symbol.asyncDispose]();
        return;
      }
      here = store;
      // Where it was given away already, nobody waits for that any more.
      lent.resolve(store);
    },
    async [Symbol.asyncDispose]() {
      if (isDisposed) return;
      isDisposed = true;
      // What is lent is closed already.
      await here?.[Symbol.asyncDispose]();
    },
  };
}
