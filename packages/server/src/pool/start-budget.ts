import { Fifo } from './fifo.ts';

/** A start that takes longer waits for the function and not for the host; it then holds up nobody else's. */
const LONGEST_HOLD_MS = 3_000;

/** For whom an instance starts. */
export interface StartOwner {
  readonly namespace: string;
  readonly name: string;
}

/** A start for nobody in particular. */
const NOBODY: StartOwner = { namespace: '', name: '' };

/**
 * Bounds how many instances start at once on this host (S3). Namespaces take turns, and so do the functions of each;
 * those of one function go in the order they were asked for. So one that wants many holds up nobody else's.
 */
export class StartBudget {
  /** By namespace, then by function; whose turn comes next stands first. */
  readonly #waiting = new Map<string, Map<string, Fifo<() => void>>>();
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
    while (this.#free > 0) {
      const next = this.#next();
      if (!next) return;
      this.#free -= 1;
      next();
    }
  }

  /** Whether nothing is starting. */
  get isFree(): boolean {
    return this.#free === this.#limit;
  }

  /**
   * Resolves when the caller may start; dispose the permit when the start is over, whatever came of it. A permit held
   * too long goes to the next one.
   */
  async acquire(owner: StartOwner = NOBODY): Promise<Disposable> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#lineOf(owner).push(resolve));
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      clearTimeout(timer);
      const next = this.#free < 0 ? undefined : this.#next();
      if (next) next();
      else this.#free += 1;
    };
    const timer = setTimeout(release, this.#longestHoldMs);
    return { [Symbol.dispose]: release };
  }

  #lineOf({ namespace, name }: StartOwner): Fifo<() => void> {
    const lines = this.#waiting.get(namespace) ?? new Map<string, Fifo<() => void>>();
    this.#waiting.set(namespace, lines);
    const line = lines.get(name) ?? new Fifo<() => void>();
    lines.set(name, line);
    return line;
  }

  /** Takes the one whose turn it is; its function and its namespace then stand last. */
  #next(): (() => void) | undefined {
    for (const [namespace, lines] of this.#waiting) {
      this.#waiting.delete(namespace);
      for (const [name, line] of lines) {
        lines.delete(name);
        const next = line.shift();
        if (line.length > 0) lines.set(name, line);
        if (lines.size > 0) this.#waiting.set(namespace, lines);
        return next;
      }
    }
    return undefined;
  }
}
