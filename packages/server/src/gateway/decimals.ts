/**
 * The decimal text of moments: many calls come in one millisecond, and writing so long a number takes longer than
 * seeing that it is the one from before.
 */
export class Decimals {
  #ms = -1;
  #text = '';

  /** `ms` in decimal. */
  of(ms: number): string {
    if (ms !== this.#ms) {
      this.#ms = ms;
      this.#text = String(ms);
    }
    return this.#text;
  }
}
