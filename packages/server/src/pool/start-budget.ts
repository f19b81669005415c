import { Fifo } from './fifo.ts';

/** Bounds how many instances start at once on this host (S3), in the order they were asked for. */
export class StartBudget {
  readonly #waiting = new Fifo<() => void>();
  #free: number;

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Resolves when the caller may start; dispose the permit when the start is over, whatever came of it. */
  async acquire(): Promise<Disposable> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#waiting.shift();
        if (next) next();
        else this.#free += 1;
      },
    };
  }
}
