import type { Socket } from 'node:net';
import type { PlainRequest } from '../core/http1/request-head.ts';
import type { Caller, CallerEvents } from './caller.ts';

/** Idle connections of callers are kept this long; longer than the minute common load balancers keep theirs. */
export const KEEP_ALIVE_SECONDS = 65;
const KEPT = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_SECONDS}\r\n`;
const CLOSED = 'Connection: close\r\n';

/** What a connection tells the lane it came by. */
export interface PlainCallerKeeper {
  /** The time for a `Date` header, as RFC 9110 section 6.6.1 wants it of who passes an answer on without one. */
  readonly date: string;
  /** Whether connections are given up after their answer. */
  readonly isClosing: boolean;
}

/** A caller whose request was plain enough to be read straight from its connection. One object a connection. */
export class PlainCaller implements Caller {
  readonly remoteAddress: string;
  readonly stripAuthorization = false;
  readonly shadowOf = undefined;
  readonly attempt = undefined;
  readonly isChunked = false;
  headersSent = false;

  readonly #socket: Socket;
  readonly #keeper: PlainCallerKeeper;
  readonly #onAnswered: (keep: boolean) => void;
  #request: PlainRequest | undefined;
  #events: CallerEvents | undefined;
  #isChunked = false;
  #isKept = true;

  /** `onAnswered` is called after each answer: whether the connection may carry the next. */
  constructor(socket: Socket, keeper: PlainCallerKeeper, onAnswered: (keep: boolean) => void) {
    this.#socket = socket;
    this.#keeper = keeper;
    this.#onAnswered = onAnswered;
    this.remoteAddress = socket.remoteAddress ?? '';
  }

  get method(): string {
    return this.#request?.method ?? '';
  }

  get rawHeaders(): readonly string[] {
    return this.#request?.headers ?? [];
  }

  get body(): string | undefined {
    return this.#request?.body;
  }

  get isGone(): boolean {
    return this.#socket.destroyed;
  }

  get isCutOff(): boolean {
    return false;
  }

  /** Whether a request is being answered. */
  get isBusy(): boolean {
    return this.#request !== undefined;
  }

  /** Takes the next request. */
  begins(request: PlainRequest): void {
    this.#request = request;
    this.headersSent = false;
  }

  attach(events: CallerEvents): void {
    this.#events = events;
  }

  /** For the connection: it is closed. */
  gone(): void {
    this.#events?.abandon();
    this.#events = undefined;
  }

  /** For the connection: what was written has left. */
  drained(): void {
    this.#events?.resume();
  }

  answer(status: number, reason: string, headers: readonly string[], body: string): void {
    this.#socket.write(this.#head(status, reason, headers, '') + body, 'latin1');
    this.#done();
  }

  begin(status: number, reason: string, headers: readonly string[], hasLength: boolean): void {
    this.#isChunked = !hasLength;
    this.#socket.write(
      this.#head(status, reason, headers, hasLength ? '' : 'Transfer-Encoding: chunked\r\n'),
      'latin1',
    );
  }

  write(chunk: Buffer, sent?: () => void): boolean {
    if (!this.#isChunked) return this.#socket.write(chunk, sent);
    this.#socket.cork();
    this.#socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    this.#socket.write(chunk, sent);
    this.#socket.write('\r\n', 'latin1');
    this.#socket.uncork();
    return !this.#socket.writableNeedDrain;
  }

  end(trailers: readonly string[]): void {
    if (this.#isChunked) {
      let end = '0\r\n';
      for (let i = 0; i < trailers.length; i += 2) end += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
      this.#socket.write(`${end}\r\n`, 'latin1');
    }
    this.#done();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #head(status: number, reason: string, headers: readonly string[], framing: string): string {
    let head = `HTTP/1.1 ${status} ${reason}\r\n`;
    let hasDate = false;
    this.#isKept = this.#request?.keepAlive === true && !this.#keeper.isClosing;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      if (name.length === 4 && name.toLowerCase() === 'date') hasDate = true;
      // An error after which the place of the next request is in doubt.
      if (name === 'Connection') {
        this.#isKept = false;
        continue;
      }
      head += `${name}: ${headers[i + 1]}\r\n`;
    }
    if (!hasDate) head += `Date: ${this.#keeper.date}\r\n`;
    this.headersSent = true;
    return `${head}${framing}${this.#isKept ? KEPT : CLOSED}\r\n`;
  }

  #done(): void {
    this.#request = undefined;
    this.#events = undefined;
    this.#onAnswered(this.#isKept);
  }
}
