/** Slices a window is divided into; what is older than the window leaves it slice by slice. */
const SLICES = 30;
/** A mean over less than this would take a single call for a flood. */
const SHORTEST_MS = 1_000;

/** Numbers kept of a slice: which it is, load times milliseconds, and the milliseconds something is known about. */
const FIELDS = 3;

/** The mean load over the recent past. Knows the time only from its callers. */
export class LoadWindow {
  readonly #sliceMs: number;
  readonly #lengthMs: number;
  /** One array of plain numbers, and only while there is load: there may be one window for each of many versions. */
  #slices: Float64Array | undefined;

  /** A window over the last `lengthMs` milliseconds. */
  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
    this.#sliceMs = lengthMs / SLICES;
  }

  /** Adds what was seen in the `overMs` milliseconds up to `now`: a mean load of `load`. */
  add(load: number, overMs: number, now: number): void {
    const knownMs = Math.min(overMs, this.#lengthMs);
    if (knownMs <= 0) return;
    this.#slices ??= new Float64Array((SLICES + 1) * FIELDS).fill(-1);
    const slices = this.#slices;
    const index = Math.floor(now / this.#sliceMs);
    const place = (index % (SLICES + 1)) * FIELDS;
    if (slices[place] !== index) slices.set([index, 0, 0], place);
    slices[place + 1] = (slices[place + 1] ?? 0) + load * knownMs;
    slices[place + 2] = (slices[place + 2] ?? 0) + knownMs;
  }

  /** The mean load, or undefined when nothing was added in the time of the window. */
  mean(now: number): number | undefined {
    const slices = this.#slices;
    if (!slices) return undefined;
    const newest = Math.floor(now / this.#sliceMs);
    let area = 0;
    let knownMs = 0;
    for (let place = 0; place < slices.length; place += FIELDS) {
      const index = slices[place] ?? -1;
      if (index <= newest - SLICES || index > newest || index < 0) continue;
      area += slices[place + 1] ?? 0;
      knownMs += slices[place + 2] ?? 0;
    }
    return knownMs === 0 ? undefined : area / Math.max(knownMs, Math.min(SHORTEST_MS, this.#lengthMs));
  }

  /** Forgets everything. */
  clear(): void {
    this.#slices = undefined;
  }
}

/** The stable and the burst window of one version. */
export class LoadWindows {
  readonly #stable: LoadWindow;
  readonly #burst: LoadWindow;

  constructor(lengths: { readonly windowMs: number; readonly burstWindowMs: number }) {
    this.#stable = new LoadWindow(lengths.windowMs);
    this.#burst = new LoadWindow(lengths.burstWindowMs);
  }

  /** Adds what was seen in the `overMs` milliseconds up to `now`: a mean load of `load`. */
  add(load: number, overMs: number, now: number): void {
    this.#stable.add(load, overMs, now);
    this.#burst.add(load, overMs, now);
  }

  /** The means now; undefined where nothing is known. */
  means(now: number): { readonly stable: number | undefined; readonly burst: number | undefined } {
    return { stable: this.#stable.mean(now), burst: this.#burst.mean(now) };
  }

  /** Forgets everything. */
  clear(): void {
    this.#stable.clear();
    this.#burst.clear();
  }
}
