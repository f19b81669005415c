import { Fifo } from './fifo.ts';

/** A start that takes longer waits for the function and not for the host; it then holds up nobody else's. */
const LONGEST_HOLD_MS = 3_000;

/** Bounds how many instances start at once on this host (S3), in the order they were asked for. */
export class StartBudget {
  readonly #waiting = new Fifo<() => void>();
  readonly #longestHoldMs: number;
  #limit: number;
  #free: number;

  constructor(limit: number, longestHoldMs = LONGEST_HOLD_MS) {
    this.#limit = limit;
    this.#free = limit;
    this.#longestHoldMs = longestHoldMs;
  }

  /** Sets anew how many may start at once; those that have begun go on. */
  resize(limit: number): void {
    this.#free += limit - this.#limit;
    this.#limit = limit;
    for (; this.#free > 0 && this.#waiting.length > 0; this.#free -= 1) this.#waiting.shift()?.();
  }

  /** Whether nothing is starting. */
  get isFree(): boolean {
    return this.#free === this.#limit;
  }

  /**
   * Resolves when the caller may start; dispose the permit when the start is over, whatever came of it. A permit held
   * too long goes to the next one.
   */
  async acquire(): Promise<Disposable> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      clearTimeout(timer);
      const next = this.#free < 0 ? undefined : this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    };
    const timer = setTimeout(release, this.#longestHoldMs);
    return { [Symbol.dispose]: release };
  }
}
