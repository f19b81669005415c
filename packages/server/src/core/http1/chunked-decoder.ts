import { parseHeaderLines } from './header-lines.ts';
import { MalformedMessage } from './malformed-message.ts';

/** `size[;extensions]`; the size in a length that a double holds exactly. */
const SIZE_LINE = /^([0-9a-fA-F]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
/** Most bytes of a chunk's size line. */
const MAX_SIZE_LINE_BYTES = 4_096;
/** Most bytes of the trailers together. */
const MAX_TRAILER_BYTES = 65_536;
const LF = 10;

/**
 * Takes a chunked body apart (RFC 9112 section 7.1), piece by piece as it comes. After each {@link step} `dataStart`
 * and `dataEnd` say which bytes of the piece are payload.
 */
export class ChunkedDecoder {
  dataStart = 0;
  dataEnd = 0;
  /** Whether the last chunk and the trailers have come. */
  isDone = false;
  /** Names and values alternate; known once {@link isDone}. */
  trailers: readonly string[] = [];

  #state: 'size' | 'data' | 'data-end' | 'trailers' = 'size';
  #line = '';
  #trailerText = '';
  #left = 0;

  /** Reads on in `bytes` from `from`, at most to `to`; returns where it stopped. Throws {@link MalformedMessage}. */
  step(bytes: Buffer, from: number, to: number): number {
    this.dataStart = this.dataEnd = from;
    switch (this.#state) {
      case 'size':
        return this.#size(bytes, from, to);
      case 'data': {
        const end = Math.min(to, from + this.#left);
        this.dataEnd = end;
        this.#left -= end - from;
        if (this.#left === 0) this.#state = 'data-end';
        return end;
      }
      case 'data-end': {
        const at = this.#readLine(bytes, from, to, 0);
        if (at === -1) return to;
        this.#state = 'size';
        return at;
      }
      default:
        return this.#trailer(bytes, from, to);
    }
  }

  #size(bytes: Buffer, from: number, to: number): number {
    const at = this.#readLine(bytes, from, to, MAX_SIZE_LINE_BYTES);
    if (at === -1) return to;
    const size = SIZE_LINE.exec(this.#line)?.[1];
    if (size === undefined) throw new MalformedMessage('a chunk of the answer has no size');
    this.#left = Number.parseInt(size, 16);
    this.#line = '';
    this.#state = this.#left === 0 ? 'trailers' : 'data';
    return at;
  }

  #trailer(bytes: Buffer, from: number, to: number): number {
    const at = this.#readLine(bytes, from, to, MAX_TRAILER_BYTES - this.#trailerText.length);
    if (at === -1) return to;
    if (this.#line !== '') {
      this.#trailerText += `${this.#line}\r\n`;
      this.#line = '';
      return at;
    }
    const trailers = parseHeaderLines(this.#trailerText, 0, this.#trailerText.length - 2);
    if (!trailers) throw new MalformedMessage('a trailer line of the answer is not well-formed');
    this.trailers = trailers;
    this.isDone = true;
    return at;
  }

  /** Adds to the line up to its end; returns where the next begins, or -1 when the end has not come yet. */
  #readLine(bytes: Buffer, from: number, to: number, limitBytes: number): number {
    let end = from;
    while (end < to && bytes[end] !== LF) end += 1;
    this.#line += bytes.toString('latin1', from, end);
    if (this.#line.length > limitBytes + 1) throw new MalformedMessage('a line of the chunked answer is too long');
    if (end === to) return -1;
    if (!this.#line.endsWith('\r')) throw new MalformedMessage('a line of the answer ends without CR');
    this.#line = this.#line.slice(0, -1);
    return end + 1;
  }
}
