import { randomFillSync } from 'node:crypto';

/** Ids made at once: their text stays as long as one of them is kept. */
const AT_ONCE = 64;
const ID_BYTES = 16;
const ID_CHARS = 36;
const DASH = 45;
const HEX = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));

/**
 * Call ids for the warm path, random UUIDs (RFC 9562, version 4): many are written at once into one text, and each is a
 * part of that. Cheaper to make and to take apart than one put together by itself; nothing is found by them in an index, as
 * it is by those of `core/ids.ts`.
 */
export class CallIds {
  readonly #random = Buffer.allocUnsafeSlow(AT_ONCE * ID_BYTES);
  readonly #written = Buffer.allocUnsafeSlow(AT_ONCE * ID_CHARS);
  #text = '';
  #at = 0;

  /** A new call id. */
  next(): string {
    if (this.#at === this.#text.length) this.#write();
    const id = this.#text.slice(this.#at, this.#at + ID_CHARS);
    this.#at += ID_CHARS;
    return id;
  }

  #write(): void {
    randomFillSync(this.#random);
    let to = 0;
    for (const [i, byte] of this.#random.entries()) {
      const at = i % ID_BYTES;
      const value = at === 6 ? (byte & 0x0f) | 0x40 : at === 8 ? (byte & 0x3f) | 0x80 : byte;
      if (at === 4 || at === 6 || at === 8 || at === 10) this.#written[to++] = DASH;
      this.#written[to++] = HEX[value >> 4] as number;
      this.#written[to++] = HEX[value & 15] as number;
    }
    this.#text = this.#written.toString('latin1');
    this.#at = 0;
  }
}
