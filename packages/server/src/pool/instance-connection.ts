import { connect, type Socket } from 'node:net';
import { ChunkedDecoder } from '../core/http1/chunked-decoder.ts';
import { MalformedMessage } from '../core/http1/malformed-message.ts';
import { readResponseHead, type ResponseHead } from '../core/http1/response-head.ts';
import type { Target } from '../engines/engine.ts';
import { type BodySource, type BodyTap, RequestPump } from './request-pump.ts';

/** Most header bytes an instance may answer with. */
const MAX_HEAD_BYTES = 65_536;
const CONNECT_TIMEOUT_MS = 5_000;
/** A request up to this size is taken whole by the kernel or not at all. */
const ATOMIC_BYTES = 16_384;

/** A request as it goes to an instance. */
export interface InstanceRequest {
  readonly method: string;
  /** Request line and headers with the blank line, one character a byte. */
  readonly head: string;
  /** The whole body, one character a byte, or where it comes from. */
  readonly body: string | BodySource | undefined;
  /** Whether a body that is not whole goes out in chunks; else its length is in the head. */
  readonly isChunked: boolean;
  /** Is shown a body that is not whole. */
  readonly tap?: BodyTap | undefined;
}

/**
 * What a failed request may have reached: `nothing`, because nobody took the connection; nothing either, because the
 * connection was `stale`, which says nothing of the instance; or `instance`.
 */
export type Reach = 'nothing' | 'stale' | 'instance';

/** Who is told what an instance answers. After `onEnd`, `onFailure` or an abort nothing more comes. */
export interface AnswerHandler {
  /** The head of the final answer. `whole` is its body when that came with it (one character a byte); `onEnd` follows. */
  onHead(head: ResponseHead, whole: string | undefined): void;
  /** A piece of the body, good for this turn only. */
  onData(chunk: Buffer): void;
  /** The answer is complete. Trailers alternate names and values. */
  onEnd(trailers: readonly string[]): void;
  /** The connection failed; `reach` says how much of the request the instance may have (G3). */
  onFailure(error: NodeJS.ErrnoException, reach: Reach): void;
}

/** What a connection tells those who keep it. */
export interface ConnectionKeeper {
  /** Read into by every connection of the instance; what is in it is good for the turn only. */
  readonly readBuffer: Buffer;
  /** The connection is free for the next request for `idleMs`, or for the keeper's own time if undefined. */
  free(connection: InstanceConnection, idleMs: number | undefined): void;
  /** The other side had closed the connection before the last request, and so probably every free one. */
  stale(): void;
  /** The connection is closed. */
  gone(connection: InstanceConnection): void;
}

/**
 * One HTTP/1.1 connection to an instance, for one request at a time. It has no timeouts but the connecting one's:
 * the call's deadline stands above it.
 */
export class InstanceConnection {
  /** Monotonic milliseconds until which it may be used again; the keeper's. */
  freeUntilMs = 0;

  readonly #keeper: ConnectionKeeper;
  readonly #socket: Socket;
  #handler: AnswerHandler | undefined;
  #method = '';
  #pump: RequestPump | undefined;
  #isConnected = false;
  #isReused = false;
  /** Whether the request under way went out in one write. */
  #isAtomic = false;
  #hasAnswered = false;
  #isPaused = false;
  #error: NodeJS.ErrnoException | undefined;

  // What has come of the answer.
  #headText = '';
  #head: ResponseHead | undefined;
  #left = 0;
  #chunks: ChunkedDecoder | undefined;

  constructor(target: Target, keeper: ConnectionKeeper) {
    this.#keeper = keeper;
    const onread = {
      buffer: keeper.readBuffer,
      callback: (bytes: number) => {
        this.#read(keeper.readBuffer, bytes);
        return true;
      },
    };
    this.#socket =
      target.kind === 'unix'
        ? connect({ path: target.path, onread })
        : connect({ host: target.host, port: target.port, noDelay: true, onread });
    const timer = setTimeout(() => {
      this.#socket.destroy(Object.assign(new Error('connecting took too long'), { code: 'ETIMEDOUT' }));
    }, CONNECT_TIMEOUT_MS);
    this.#socket.once('connect', () => {
      clearTimeout(timer);
      this.#isConnected = true;
      this.#pump?.start();
    });
    this.#socket.on('drain', () => this.#pump?.resume());
    this.#socket.on('error', (error) => (this.#error = error));
    this.#socket.once('end', () => this.#ended());
    this.#socket.once('close', () => {
      clearTimeout(timer);
      this.#closed();
    });
  }

  /** Whether it can take no request any more. */
  get isClosed(): boolean {
    return this.#socket.destroyed || !this.#socket.writable;
  }

  /** Sends a request. The connection must be free, and its failure is told at a later turn. */
  send(request: InstanceRequest, handler: AnswerHandler): void {
    const { head, body } = request;
    this.#handler = handler;
    this.#method = request.method;
    this.#hasAnswered = false;
    if (body === undefined || typeof body === 'string') {
      const text = body === undefined ? head : head + body;
      this.#isAtomic = text.length <= ATOMIC_BYTES;
      this.#socket.write(text, 'latin1');
      return;
    }
    this.#isAtomic = false;
    this.#socket.write(head, 'latin1');
    this.#pump = new RequestPump(body, this.#socket, request.isChunked, request.tap);
    if (this.#isConnected) this.#pump.start();
  }

  /** Takes no more of the answer until {@link resume}. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  /** Ends the request under way, and the connection with it; the handler hears nothing more. */
  abort(): void {
    this.#handler = undefined;
    this.#dropPump();
    this.#socket.destroy();
  }

  /** Closes the connection. A request under way fails. */
  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer, count: number): void {
    // Nobody asked: what a free connection says cannot be trusted to belong to the next request.
    if (!this.#handler) return this.close();
    this.#hasAnswered = true;
    try {
      const at = this.#head ? 0 : this.#readHead(bytes, count);
      if (at < count && this.#head) this.#readBody(bytes, at, count);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.#fail(error);
    }
  }

  /** Reads on in the head; returns where the body begins, or `count` when there is nothing left to read. */
  #readHead(bytes: Buffer, count: number): number {
    const known = this.#headText.length;
    let text = this.#headText + bytes.toString('latin1', 0, count);
    let end = text.indexOf('\r\n\r\n', Math.max(0, known - 3));
    for (; end !== -1 && end <= MAX_HEAD_BYTES; end = text.indexOf('\r\n\r\n')) {
      const head = readResponseHead(text, end, this.#method);
      if (head.status >= 200) return this.#begin(head, text.slice(end + 4), count);
      if (head.status === 101) throw new MalformedMessage('the instance upgraded a connection nobody wanted upgraded');
      // Answers meanwhile are for this hop alone.
      text = text.slice(end + 4);
    }
    if (text.length > MAX_HEAD_BYTES) throw new MalformedMessage(`the headers are larger than ${MAX_HEAD_BYTES} bytes`);
    this.#headText = text;
    return count;
  }

  #begin(head: ResponseHead, rest: string, count: number): number {
    this.#headText = '';
    const at = count - rest.length;
    if (head.framing === 'none' || (head.framing === 'length' && rest.length >= head.lengthBytes)) {
      this.#endWhole(head, rest.length === head.lengthBytes ? rest : rest.slice(0, head.lengthBytes), rest.length);
      return count;
    }
    this.#head = head;
    this.#left = head.lengthBytes;
    this.#chunks = head.framing === 'chunked' ? new ChunkedDecoder() : undefined;
    this.#handler?.onHead(head, undefined);
    return at;
  }

  #readBody(bytes: Buffer, from: number, to: number): void {
    const chunks = this.#chunks;
    if (!chunks) {
      const end = this.#head?.framing === 'length' ? Math.min(to, from + this.#left) : to;
      this.#left -= end - from;
      this.#handler?.onData(bytes.subarray(from, end));
      if (this.#head?.framing === 'length' && this.#left === 0) this.#end([], end === to);
      return;
    }
    let at = from;
    while (at < to && !chunks.isDone) {
      at = chunks.step(bytes, at, to);
      if (chunks.dataEnd > chunks.dataStart) {
        this.#handler?.onData(bytes.subarray(chunks.dataStart, chunks.dataEnd));
      }
      // The caller may have gone away because of what it was just given.
      if (!this.#handler) return;
    }
    if (chunks.isDone) this.#end(chunks.trailers, at === to);
  }

  #endWhole(head: ResponseHead, body: string, got: number): void {
    const handler = this.#handler;
    this.#head = head;
    this.#settle(got === head.lengthBytes);
    handler?.onHead(head, body);
  }

  #end(trailers: readonly string[], isClean: boolean): void {
    const handler = this.#handler;
    this.#settle(isClean);
    handler?.onEnd(trailers);
  }

  /** The answer is complete: the connection is free again if both sides are at the same place. */
  #settle(isClean: boolean): void {
    const idleMs = this.#head?.keepAliveMs;
    const isSent = this.#pump === undefined || this.#pump.isDone;
    this.#handler = undefined;
    this.#head = undefined;
    this.#chunks = undefined;
    this.#dropPump();
    if (!isClean || !isSent || idleMs === 0) return this.close();
    this.#isReused = true;
    this.resume();
    this.#keeper.free(this, idleMs);
  }

  /** The instance closed its side. */
  #ended(): void {
    if (this.#head?.framing === 'close') this.#end([], false);
    this.close();
  }

  #closed(): void {
    this.#keeper.gone(this);
    if (this.#handler) this.#fail(this.#error ?? new Error('the connection was closed'));
  }

  #fail(error: NodeJS.ErrnoException): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#dropPump();
    this.#socket.destroy();
    const reach = this.#reached(error);
    if (reach === 'stale') this.#keeper.stale();
    handler?.onFailure(error, reach);
  }

  #reached(error: NodeJS.ErrnoException): Reach {
    if (!this.#isConnected) return 'nothing';
    // A write to a connection that the other side has closed takes no byte, if it would have been a single one.
    return this.#isReused && this.#isAtomic && !this.#hasAnswered && error.code === 'EPIPE' ? 'stale' : 'instance';
  }

  #dropPump(): void {
    this.#pump?.stop();
    this.#pump = undefined;
  }
}
