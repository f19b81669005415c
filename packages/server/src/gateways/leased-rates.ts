import { type RateGate, type RateSource, rateError } from '../gateway/rate-gates.ts';
import type { RateMessage, RateRequest } from './messages.ts';

/** Calls that may pass and did not come are given back after this: those of another gateway may. */
const UNUSED_MS = 50;

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

/** The rate of one namespace in a gateway process: calls that may pass come in small numbers from the first process. */
class LeasedGate implements RateGate {
  isLimited = false;
  readonly #namespace: string;
  readonly #send: (message: RateRequest) => void;
  #waiters: Waiter[] = [];
  /** Of those who wait, the first ones that were asked for. */
  #asked = 0;
  /** Calls that may pass without asking. */
  #stock = 0;
  #unused: NodeJS.Timeout | undefined;

  constructor(namespace: string, send: (message: RateRequest) => void) {
    this.#namespace = namespace;
    this.#send = send;
  }

  take(): void | Promise<void> {
    if (this.#stock > 0) {
      this.#stock -= 1;
      return undefined;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ resolve, reject });
    this.#ask();
    return promise;
  }

  drawn(granted: number, retryAfterMs: number): void {
    const asked = this.#asked;
    this.#asked = 0;
    this.#stock += granted;
    for (const waiter of this.#waiters.splice(0, asked)) {
      if (this.#stock === 0) waiter.reject(rateError(this.#namespace, retryAfterMs));
      else {
        this.#stock -= 1;
        waiter.resolve();
      }
    }
    // Those who came after the question, as far as what is left goes.
    for (const waiter of this.#waiters.splice(0, this.#stock)) {
      this.#stock -= 1;
      waiter.resolve();
    }
    if (this.#waiters.length > 0) this.#ask();
    if (this.#stock > 0) this.#unused ??= setTimeout(() => this.#putBack(), UNUSED_MS).unref();
  }

  dispose(): void {
    clearTimeout(this.#unused);
  }

  #ask(): void {
    if (this.#asked > 0) return;
    this.#asked = this.#waiters.length;
    this.#send({ kind: 'draw', namespace: this.#namespace, count: this.#asked });
  }

  #putBack(): void {
    this.#unused = undefined;
    if (this.#stock === 0) return;
    this.#send({ kind: 'put-back', namespace: this.#namespace, count: this.#stock });
    this.#stock = 0;
  }
}

/** The rates of one gateway process; the buckets are with the first one, so that a rate holds over all of them. */
export class LeasedRates implements RateSource, Disposable {
  readonly #send: (message: RateRequest) => void;
  readonly #gates = new Map<string, LeasedGate>();

  constructor(options: { readonly limited: readonly string[]; readonly send: (message: RateRequest) => void }) {
    this.#send = options.send;
    for (const namespace of options.limited) this.#gateOf(namespace).isLimited = true;
  }

  of(namespace: string): RateGate {
    return this.#gateOf(namespace);
  }

  /** Takes what the first process says about rates. */
  receive(message: RateMessage): void {
    const gate = this.#gateOf(message.namespace);
    if (message.kind === 'rate') gate.isLimited = message.isLimited;
    else gate.drawn(message.granted, message.retryAfterMs);
  }

  [Symbol.dispose](): void {
    for (const gate of this.#gates.values()) gate.dispose();
  }

  #gateOf(namespace: string): LeasedGate {
    const known = this.#gates.get(namespace);
    if (known) return known;
    const gate = new LeasedGate(namespace, this.#send);
    this.#gates.set(namespace, gate);
    return gate;
  }
}
