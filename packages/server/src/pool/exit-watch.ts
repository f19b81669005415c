import type { InstanceExit } from '../engines/engine.ts';

/** Turns the engine's exit hints into one promise per instance. */
export class ExitWatch {
  readonly #watched = new Map<string, (exit: InstanceExit) => void>();

  /** Starts to watch an instance; do it before it is created, so that no hint is missed. */
  watch(id: string): Promise<InstanceExit> {
    return new Promise((resolve) => this.#watched.set(id, resolve));
  }

  /** Says that an instance ended; returns whether anybody watched it. */
  notify(id: string, exit: InstanceExit): boolean {
    const resolve = this.#watched.get(id);
    this.#watched.delete(id);
    resolve?.(exit);
    return resolve !== undefined;
  }

  /** Whether an instance is watched: it is being started or serves. */
  watches(id: string): boolean {
    return this.#watched.has(id);
  }

  /** Every watched instance. */
  ids(): readonly string[] {
    return [...this.#watched.keys()];
  }

  /** Stops watching; its promise stays pending. */
  forget(id: string): void {
    this.#watched.delete(id);
  }
}
