import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Carries a request's body from the caller to an instance as it comes, no faster than the instance takes it. */
export class RequestPump {
  /** Whether the body's last byte was handed on. */
  isDone = false;

  readonly #source: IncomingMessage;
  readonly #socket: Socket;
  readonly #isChunked: boolean;
  #isStarted = false;

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isChunked) {
      this.#socket.cork();
      this.#socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
      this.#socket.write(chunk);
      this.#socket.write('\r\n', 'latin1');
      this.#socket.uncork();
    } else this.#socket.write(chunk);
    if (this.#socket.writableNeedDrain) this.#source.pause();
  };
  readonly #onEnd = (): void => {
    this.isDone = true;
    if (this.#isChunked) this.#socket.write('0\r\n\r\n', 'latin1');
  };
  readonly #onClose = (): void => {
    // The caller left in the middle of its body: the instance must not take the part for the whole.
    if (!this.isDone) this.#socket.destroy();
  };

  /** The body comes in chunks to the instance if `isChunked`, else as it is. */
  constructor(source: IncomingMessage, socket: Socket, isChunked: boolean) {
    this.#source = source;
    this.#socket = socket;
    this.#isChunked = isChunked;
  }

  /** Begins to read the body: once the instance is connected, because what was read cannot be read again. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#source.on('data', this.#onData).once('end', this.#onEnd).once('close', this.#onClose);
    if (this.#source.destroyed && !this.#source.complete) this.#onClose();
  }

  /** Reads on after the instance has taken what there was. */
  resume(): void {
    if (this.#isStarted) this.#source.resume();
  }

  /** Hands nothing more on. The rest is read and dropped, so that the caller's connection stays usable. */
  stop(): void {
    if (!this.#isStarted) return;
    this.#source.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    if (!this.isDone) this.#source.resume();
  }
}
