/** Runs what has the same name one after the other, in the order it came; other names go on meanwhile. */
export interface Serial {
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** Makes a {@link Serial}. */
export function createSerial(): Serial {
  const tails = new Map<string, Promise<unknown>>();
  return {
    run(name, work) {
      const before = tails.get(name);
      const result = before ? before.then(work, work) : work();
      tails.set(name, result);
      const clear = () => {
        if (tails.get(name) === result) tails.delete(name);
      };
      result.then(clear, clear);
      return result;
    },
  };
}
