import type { IncomingMessage } from 'node:http';

/**
 * The headers of a request, as standard `Headers` would show them, without loading fetch for it. The standard
 * constructors take it as they take every iterable of pairs.
 */
export class LightHeaders {
  readonly #entries = new Map<string, string>();

  constructor(incoming: IncomingMessage) {
    const raw = incoming.rawHeaders;
    for (let index = 0; index + 1 < raw.length; index += 2) this.append(raw[index] ?? '', raw[index + 1] ?? '');
  }

  append(name: string, value: string): void {
    const key = keyOf(name);
    const before = this.#entries.get(key);
    const separator = key === 'cookie' ? '; ' : ', ';
    this.#entries.set(key, before === undefined ? normal(value) : before + separator + normal(value));
  }

  set(name: string, value: string): void {
    this.#entries.set(keyOf(name), normal(value));
  }

  delete(name: string): void {
    this.#entries.delete(keyOf(name));
  }

  get(name: string): string | null {
    return this.#entries.get(keyOf(name)) ?? null;
  }

  has(name: string): boolean {
    return this.#entries.has(keyOf(name));
  }

  getSetCookie(): string[] {
    const value = this.get('set-cookie');
    return value === null ? [] : [value];
  }

  forEach(call: (value: string, name: string, headers: LightHeaders) => void, self?: unknown): void {
    for (const [name, value] of this) call.call(self, value, name, this);
  }

  *keys(): Generator<string> {
    for (const [name] of this) yield name;
  }

  *values(): Generator<string> {
    for (const [, value] of this) yield value;
  }

  entries(): IterableIterator<[string, string]> {
    return [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1)).values();
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return 'Headers';
  }
}

// Callers in JavaScript hand over what is not text, and the standard turns it into text.
function keyOf(name: unknown): string {
  return String(name).toLowerCase();
}

/** Takes blanks off both ends, as the standard does. */
function normal(value: unknown): string {
  return String(value).trim();
}
