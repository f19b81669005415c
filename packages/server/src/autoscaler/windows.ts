/** Slices a window is divided into; what is older than the window leaves it slice by slice. */
const SLICES = 30;
/** A mean over less than this would take a single call for a flood. */
const SHORTEST_MS = 1_000;

interface Slice {
  index: number;
  /** Load times milliseconds. */
  area: number;
  /** Milliseconds of the slice that something is known about. */
  knownMs: number;
}

/** The mean load over the recent past. Knows the time only from its callers. */
export class LoadWindow {
  readonly #sliceMs: number;
  readonly #lengthMs: number;
  readonly #slices: Slice[] = Array.from({ length: SLICES + 1 }, () => ({ index: -1, area: 0, knownMs: 0 }));

  /** A window over the last `lengthMs` milliseconds. */
  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
    this.#sliceMs = lengthMs / SLICES;
  }

  /** Adds what was seen in the `overMs` milliseconds up to `now`: a mean load of `load`. */
  add(load: number, overMs: number, now: number): void {
    const known = Math.min(overMs, this.#lengthMs);
    if (known <= 0) return;
    const index = Math.floor(now / this.#sliceMs);
    const slice = this.#slices[index % this.#slices.length];
    if (!slice) return;
    if (slice.index !== index) Object.assign(slice, { index, area: 0, knownMs: 0 });
    slice.area += load * known;
    slice.knownMs += known;
  }

  /** The mean load, or undefined when nothing was added in the time of the window. */
  mean(now: number): number | undefined {
    const newest = Math.floor(now / this.#sliceMs);
    let area = 0;
    let knownMs = 0;
    for (const slice of this.#slices) {
      if (slice.index <= newest - SLICES || slice.index > newest) continue;
      area += slice.area;
      knownMs += slice.knownMs;
    }
    return knownMs === 0 ? undefined : area / Math.max(knownMs, Math.min(SHORTEST_MS, this.#lengthMs));
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
}
