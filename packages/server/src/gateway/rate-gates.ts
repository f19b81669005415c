import type { RateLimit } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import { type Bucket, decideTokens, putBack } from './decide-tokens.ts';

/** What calls of one namespace pass on their way in. */
export interface RateGate {
  /** Whether there is a rate at all; of everybody else nothing but this is looked at. */
  readonly isLimited: boolean;
  /** Lets one call pass, at once or when it is known that it may. Throws or rejects with RATE_LIMIT. */
  take(): void | Promise<void>;
}

/** The gates of namespaces. */
export interface RateSource {
  /** The gate of a namespace, the same one at every time. */
  of(namespace: string): RateGate;
}

/** The gate of a place without rates. */
export const OPEN_GATE: RateGate = { isLimited: false, take: () => {} };

/** Of a rate, the time whose calls another process may pass without asking again, in milliseconds. */
const BATCH_MS = 10;

/** The error of a call that came too soon. */
export function rateError(namespace: string, retryAfterMs: number): EbbError {
  const message = `namespace "${namespace}" is called more often than its "rate" allows; try again in ${seconds(retryAfterMs)} s`;
  return new EbbError('RATE_LIMIT', message, { retryAfterSeconds: seconds(retryAfterMs) });
}

/** `Retry-After` knows whole seconds only. */
function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}

class Gate implements RateGate {
  limit: RateLimit | undefined;
  bucket: Bucket | undefined;
  readonly #namespace: string;
  readonly #clock: Pick<Clock, 'monotonic'>;

  constructor(namespace: string, clock: Pick<Clock, 'monotonic'>) {
    this.#namespace = namespace;
    this.#clock = clock;
  }

  get isLimited(): boolean {
    return this.limit !== undefined;
  }

  set(limit: RateLimit | undefined): void {
    const before = this.limit;
    this.draw(0);
    this.limit = limit;
    if (!before || !limit) this.bucket = undefined;
    // A larger burst is there at once.
    else this.putBack(Math.max(0, limit.burst - before.burst));
  }

  take(): void {
    const { granted, retryAfterMs } = this.draw(1);
    if (granted === 0) throw rateError(this.#namespace, retryAfterMs);
  }

  draw(count: number): { readonly granted: number; readonly retryAfterMs: number } {
    if (!this.limit) return { granted: count, retryAfterMs: 0 };
    const drawn = decideTokens(this.bucket, this.limit, count, this.#clock.monotonic());
    this.bucket = drawn.bucket;
    return drawn;
  }

  putBack(count: number): void {
    if (this.limit) this.bucket = putBack(this.bucket, this.limit, count, this.#clock.monotonic());
  }
}

/** The token buckets of all namespaces; only those with a rate have one. */
export class RateGates implements RateSource {
  readonly #gates = new Map<string, Gate>();
  readonly #clock: Pick<Clock, 'monotonic'>;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  of(namespace: string): RateGate {
    return this.#gateOf(namespace);
  }

  /** Sets the rate of a namespace, or takes it away; in force at once. What was used up stays used up. */
  set(namespace: string, limit: RateLimit | undefined): void {
    this.#gateOf(namespace).set(limit);
  }

  /** The namespaces that have a rate. */
  limited(): string[] {
    return [...this.#gates].filter(([, gate]) => gate.isLimited).map(([namespace]) => namespace);
  }

  /**
   * Takes tokens for `count` calls that wait in another process, and a few more for those to come if there are any, so
   * that short calls do not pay for a question each.
   */
  draw(namespace: string, count: number): { readonly granted: number; readonly retryAfterMs: number } {
    const gate = this.#gateOf(namespace);
    const { granted, retryAfterMs } = gate.draw(count);
    if (!gate.limit || granted < count) return { granted, retryAfterMs };
    return { granted: granted + gate.draw(Math.floor((gate.limit.perSecond * BATCH_MS) / 1000)).granted, retryAfterMs };
  }

  /** Takes back what another process did not use. */
  putBack(namespace: string, count: number): void {
    this.#gateOf(namespace).putBack(count);
  }

  #gateOf(namespace: string): Gate {
    const known = this.#gates.get(namespace);
    if (known) return known;
    const gate = new Gate(namespace, this.#clock);
    this.#gates.set(namespace, gate);
    return gate;
  }
}
