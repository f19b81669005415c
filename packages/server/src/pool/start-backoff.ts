import type { EbbError } from '../core/errors.ts';

const FIRST_MS = 250;
const LONGEST_MS = 30_000;
/** An engine that was away serves again as soon as it is back. */
const LONGEST_FOR_ENGINE_MS = 2_000;
/** A failed start is tried again once before those who wait are told. */
const FAILURES_BEFORE_TELLING = 2;

/** Why starts are held back. */
export interface HeldBack {
  readonly error: EbbError;
  readonly leftMs: number;
  /** Starts that failed one after the other. */
  readonly failures: number;
}

/** Holds starts of one version back while they keep failing: from 250 ms, doubling, to 30 s. */
export class StartBackoff {
  readonly #failuresBeforeTelling: number;
  #failures = 0;
  #untilMs = 0;
  #error: EbbError | undefined;

  constructor(failuresBeforeTelling = FAILURES_BEFORE_TELLING) {
    this.#failuresBeforeTelling = failuresBeforeTelling;
  }

  /** Starts that failed one after the other. */
  get failures(): number {
    return this.#failures;
  }

  /** Why starts are held back, or undefined when one may be tried; `nowMs` is monotonic. */
  blocked(nowMs: number): HeldBack | undefined {
    const leftMs = this.#untilMs - nowMs;
    return leftMs > 0 && this.#error ? { error: this.#error, leftMs, failures: this.#failures } : undefined;
  }

  /** Takes note of a failed start. Those that fail while starts are held back began together and count once. */
  failed(error: EbbError, nowMs: number): void {
    if (nowMs < this.#untilMs) return;
    this.#failures += 1;
    this.#error = error;
    if (this.#failures < this.#failuresBeforeTelling) return;
    const longestMs = error.component === 'engine' ? LONGEST_FOR_ENGINE_MS : LONGEST_MS;
    this.#untilMs = nowMs + Math.min(longestMs, FIRST_MS * 2 ** Math.min(16, this.#failures - 1));
  }

  /** Forgets every failure: a start succeeded. */
  succeeded(): void {
    this.#failures = 0;
    this.#untilMs = 0;
    this.#error = undefined;
  }
}
