import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const END_OF_HEAD = '\r\n\r\n';

/** Told the status of an answer, or nothing when the connection broke instead. */
export type OnAnswer = (status: number | undefined) => void;

/**
 * A keep-alive connection that sends one small GET after another, for load generators: next to no work between
 * the caller and the socket, so that what is measured is the server. Understands answers with a `Content-Length` only.
 */
export class RawConnection {
  readonly #socket: Socket;
  readonly #request: string;
  #onAnswer: OnAnswer | undefined;
  #status = 0;
  /** Bytes of the body still to come, or below 0 while the head is not whole. */
  #bodyLeft = -1;
  #head = '';
  #isClosing = false;

  constructor(url: URL) {
    const host = `${url.hostname}:${url.port}`;
    this.#request = `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    this.#socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#answer(undefined));
  }

  /** Whether it can be used for another request. */
  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Waits until it is connected. */
  async connected(): Promise<void> {
    if (this.#socket.connecting) await once(this.#socket, 'connect');
  }

  /** Sends the request; one at a time. */
  send(onAnswer: OnAnswer): void {
    this.#onAnswer = onAnswer;
    if (this.isOpen) this.#socket.write(this.#request, 'latin1');
    else this.#answer(undefined);
  }

  /** Closes it, whatever is under way. */
  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#bodyLeft >= 0) {
      this.#took(chunk.length);
      return;
    }
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf(END_OF_HEAD);
    if (end < 0) return;
    const head = this.#head.slice(0, end);
    const bodyBytes = this.#head.length - end - END_OF_HEAD.length;
    this.#head = '';
    this.#status = Number(head.slice(9, 12));
    this.#isClosing = /\r\nconnection: close/i.test(head);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      this.close();
      return;
    }
    this.#bodyLeft = Number(length);
    this.#took(bodyBytes);
  }

  #took(bytes: number): void {
    this.#bodyLeft -= bytes;
    if (this.#bodyLeft > 0) return;
    this.#bodyLeft = -1;
    if (this.#isClosing) this.#socket.destroy();
    this.#answer(this.#status);
  }

  #answer(status: number | undefined): void {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    onAnswer?.(status);
  }
}
