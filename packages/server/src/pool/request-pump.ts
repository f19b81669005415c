import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** Pieces below this share their memory with others. */
const OWN_MEMORY_BYTES = 4_096;

/** Where a request's body comes from. The memory of its pieces is given back once they are sent. */
export type BodySource = Readable & {
  /** Whether it came to its end before it was destroyed; of a stream that does not say, its end does. */
  readonly complete?: boolean;
};

/** Is shown a body as it comes. */
export interface BodyTap {
  /** A piece; its memory is not the tap's to keep. */
  data(chunk: Buffer): void;
  /** The body is whole. */
  end(): void;
}

/**
 * Carries a request's body from the caller to an instance as it comes, no faster than the instance takes it. What came
 * in one turn is written at its end, when the instance's own bytes of that turn have been read: an instance that answers early
 * and closes is heard before a write to it fails.
 */
export class RequestPump {
  readonly #source: BodySource;
  readonly #socket: Socket;
  readonly #isChunked: boolean;
  readonly #tap: BodyTap | undefined;
  #pieces: Buffer[] = [];
  #isStarted = false;
  #isStopped = false;
  #hasEnded = false;
  #isDone = false;

  readonly #onData = (chunk: Buffer): void => {
    this.#tap?.data(chunk);
    if (this.#pieces.push(chunk) === 1) setImmediate(this.#flush);
  };
  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#tap?.end();
    if (this.#pieces.length === 0) this.#flush();
  };
  readonly #onClose = (): void => {
    // The caller left in the middle of its body: the instance must not take the part for the whole.
    if (!this.#hasEnded) this.#socket.destroy();
  };
  readonly #flush = (): void => {
    if (this.#isStopped) return;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#socket.cork();
    for (const piece of pieces) {
      if (this.#isChunked) this.#socket.write(`${piece.length.toString(16)}\r\n`, 'latin1');
      this.#socket.write(piece, (error) => {
        if (!error) free(piece);
      });
      if (this.#isChunked) this.#socket.write('\r\n', 'latin1');
    }
    if (this.#hasEnded) {
      this.#isDone = true;
      if (this.#isChunked) this.#socket.write('0\r\n\r\n', 'latin1');
    }
    this.#socket.uncork();
    if (this.#socket.writableNeedDrain) this.#source.pause();
  };

  /** The body comes in chunks to the instance if `isChunked`, else as it is. */
  constructor(source: BodySource, socket: Socket, isChunked: boolean, tap?: BodyTap) {
    this.#source = source;
    this.#socket = socket;
    this.#isChunked = isChunked;
    this.#tap = tap;
  }

  /** Whether the body's last byte was handed on. */
  get isDone(): boolean {
    return this.#isDone && this.#socket.writableLength === 0;
  }

  /** Begins to read the body: once the instance is connected, because what was read cannot be read again. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#source.on('data', this.#onData).once('end', this.#onEnd).once('close', this.#onClose);
    if (this.#source.destroyed && this.#source.complete !== true) this.#onClose();
  }

  /** Reads on after the instance has taken what there was. */
  resume(): void {
    if (this.#isStarted) this.#source.resume();
  }

  /** Hands nothing more on. The rest is read and dropped, so that the caller's connection stays usable. */
  stop(): void {
    if (!this.#isStarted) return;
    this.#isStopped = true;
    this.#source.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    if (!this.#hasEnded) this.#source.resume();
  }
}

/**
 * Gives the memory of a piece back now. It lies outside the collector's heap, so that the collector would let tens of
 * megabytes come together before it looks.
 */
function free({ buffer, byteLength }: Buffer): void {
  const isOwn = byteLength >= OWN_MEMORY_BYTES && byteLength === buffer.byteLength;
  if (isOwn && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
