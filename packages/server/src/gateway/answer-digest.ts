import { createHash, type Hash } from 'node:crypto';

/** A longer answer is not compared, so that comparing costs the event loop little. */
const MAX_COMPARED_BYTES = 262_144;

/** The digest of an answer's body, made while it passes. */
export class AnswerDigest {
  #hash: Hash | undefined;
  #bytes = 0;

  /** Takes a piece; text has one character a byte. */
  add(part: Buffer | string): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > MAX_COMPARED_BYTES) return;
    this.#hash ??= createHash('sha256');
    if (typeof part === 'string') this.#hash.update(part, 'latin1');
    else this.#hash.update(part);
  }

  /** The digest of what came; undefined when it was too large. May be read once. */
  get value(): string | undefined {
    if (this.#bytes > MAX_COMPARED_BYTES) return undefined;
    return this.#hash?.digest('base64') ?? '';
  }
}
