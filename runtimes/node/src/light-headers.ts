import type { IncomingMessage } from 'node:http';
import { standInFor } from './stand-in.ts';

/** Names that only real headers can judge: `set-cookie` is never joined, and malformed ones are refused. */
const PLAIN_NAME = /^(?!set-cookie$)[-a-z0-9_]+$/;

/**
 * The standard `Headers` of a request: answers what handlers commonly ask without loading fetch for it. All else is
 * answered by real ones, made on demand, which hold the truth from then on.
 */
export class LightHeaders {
  readonly #raw: readonly string[];
  #entries: Map<string, string> | undefined;
  #real: Headers | undefined;

  constructor({ rawHeaders }: IncomingMessage) {
    this.#raw = rawHeaders;
  }

  static real(headers: LightHeaders): Headers {
    if (!headers.#real) {
      headers.#real = new globalThis.Headers();
      for (const [name, value] of pairsOf(headers.#raw)) headers.#real.append(name, value);
    }
    return headers.#real;
  }

  static realOf(value: unknown): Headers | undefined {
    return isObject(value) && #raw in value ? LightHeaders.real(value) : undefined;
  }

  /** Takes over the headers of the request that was made of these, so that a change of either is one of both. */
  static become(headers: LightHeaders, real: Headers): void {
    headers.#real = real;
  }

  get(...parameters: [name: string]): string | null {
    const key = this.#plainName(parameters);
    return key === undefined ? LightHeaders.real(this).get(...parameters) : (this.#plain().get(key) ?? null);
  }

  has(...parameters: [name: string]): boolean {
    const key = this.#plainName(parameters);
    return key === undefined ? LightHeaders.real(this).has(...parameters) : this.#plain().has(key);
  }

  entries(): IterableIterator<[string, string]> {
    if (this.#real || this.#plain().has('set-cookie')) return LightHeaders.real(this).entries();
    return [...this.#plain()].sort(([a], [b]) => (a < b ? -1 : 1)).values();
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  /** The name to look up; undefined when the real headers are to be asked. */
  #plainName([name]: readonly unknown[]): string | undefined {
    const key = typeof name === 'string' && !this.#real ? name.toLowerCase() : '';
    return PLAIN_NAME.test(key) ? key : undefined;
  }

  #plain(): ReadonlyMap<string, string> {
    if (!this.#entries) {
      this.#entries = new Map();
      for (const [name, value] of pairsOf(this.#raw)) {
        const key = name.toLowerCase();
        const before = this.#entries.get(key);
        const separator = key === 'cookie' ? '; ' : ', ';
        this.#entries.set(key, before === undefined ? value : before + separator + value);
      }
    }
    return this.#entries;
  }
}

Reflect.deleteProperty(LightHeaders.prototype, 'constructor');
standInFor(
  LightHeaders,
  () => globalThis.Headers,
  (value) => LightHeaders.realOf(value),
);

function* pairsOf(raw: readonly string[]): Generator<[string, string]> {
  for (let index = 0; index + 1 < raw.length; index += 2) yield [raw[index] ?? '', raw[index + 1] ?? ''];
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
