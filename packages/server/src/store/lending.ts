/** Something with a file that can be given to another process for a while. */
export interface Lending<T> extends AsyncDisposable {
  /** Does work with it, once it is here. */
  use<R>(work: (it: T) => Promise<R>): Promise<R>;
  /** Closes it once nothing is done with it; what is asked from then on waits until {@link takeBack}. */
  lend(): Promise<void>;
  /** Lends for good: those who wait get the error, and so do all who come before {@link takeBack}. Called again, another. */
  giveAway(error: Error): void;
  /** Opens it again, if it is lent and wanted still. Throws what opening it throws; then the next call tries again. */
  takeBack(): Promise<void>;
}

/** Makes what `open` opens lendable. */
export async function createLending<T extends AsyncDisposable>(open: () => Promise<T>): Promise<Lending<T>> {
  let here: T | undefined = await open();
  let lent: PromiseWithResolvers<T> | undefined;
  let isDisposed = false;
  let running = 0;
  let onIdle: (() => void) | undefined;

  const lendTo = (): void => {
    here = undefined;
    lent = Promise.withResolvers<T>();
    // Nobody may be waiting when it is given away.
    lent.promise.catch(() => {});
  };
  const idle = async (): Promise<void> => {
    if (running === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    onIdle = resolve;
    await promise;
  };
  const run = async <R>(it: T, work: (it: T) => Promise<R>): Promise<R> => {
    running += 1;
    try {
      return await work(it);
    } finally {
      running -= 1;
      if (running === 0) onIdle?.();
    }
  };
  return {
    use: (work) => (here ? run(here, work) : (lent as PromiseWithResolvers<T>).promise.then((it) => run(it, work))),
    async lend() {
      const store = here;
      if (!store) return;
      lendTo();
      await idle();
      await store[Symbol.asyncDispose]();
    },
    giveAway(reason) {
      if (!lent) return;
      lent.reject(reason);
      lendTo();
      lent.reject(reason);
    },
    async takeBack() {
      if (!lent || isDisposed) return;
      const store = await open();
      if (isDisposed) {
        await store[Symbol.asyncDispose]();
        return;
      }
      here = store;
      // Where it was given away already, nobody waits for that any more.
      lent.resolve(store);
      lent = undefined;
    },
    async [Symbol.asyncDispose]() {
      if (isDisposed) return;
      isDisposed = true;
      // What is lent is closed already.
      await here?.[Symbol.asyncDispose]();
    },
  };
}
