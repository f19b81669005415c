import type { EvictionAge } from './keep-alive/keep-alive-policy.ts';

/** Of more the older half is forgotten; what was used before then has no age. */
const MOST_ENTRIES = 1_000;

/** Remembers how a host's {@link EvictionAge} grew, in milliseconds of one clock that never goes back. */
export class AgeLog {
  readonly #entries: { readonly at: number; readonly age: EvictionAge }[] = [];

  /** The age from `now` on, unless it is older already. */
  raise(age: EvictionAge, now: number): void {
    const last = this.#entries.at(-1);
    if (age <= (last?.age ?? 0)) return;
    this.#entries.push({ at: now, age });
    if (this.#entries.length > MOST_ENTRIES) this.#entries.splice(0, MOST_ENTRIES / 2);
  }

  /** The age at a moment. */
  at(moment: number): EvictionAge {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle]?.at ?? 0) <= moment) low = middle + 1;
      else high = middle;
    }
    return this.#entries[low - 1]?.age ?? 0;
  }
}
