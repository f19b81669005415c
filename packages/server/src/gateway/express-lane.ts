import type { Socket } from 'node:net';
import { type PlainRequest, readPlainRequest } from '../core/http1/request-head.ts';
import { DirectSocket, readInto } from './direct-socket.ts';
import { KEEP_ALIVE_SECONDS, PlainCaller, type PlainCallerKeeper } from './plain-caller.ts';

/** Bytes of a next request kept while one is answered; with more the caller waits. */
const MAX_AHEAD_BYTES = 65_536;
const LOOK_EVERY_MS = 5_000;
const READ_BUFFER_BYTES = 65_536;

/** What an {@link ExpressLane} is made with. */
export interface ExpressLaneOptions {
  /** Most bytes of a request that is read here, its body included. */
  readonly maxBytes: number;
  /** Serves a request and returns true, or returns false and leaves it untouched. */
  readonly serve: (caller: PlainCaller, request: PlainRequest) => boolean;
}

/**
 * The short way from a connection to a function. A connection stays here as long as each of its requests comes in one
 * piece, is plain (see {@link readPlainRequest}) and is for a function; with the first that is not, the connection is
 * handed to Node's HTTP server for good, with every byte not yet served. So this lane never has to refuse anything,
 * and both lanes mean the same by the same bytes.
 */
export class ExpressLane implements PlainCallerKeeper, Disposable {
  readonly #options: ExpressLaneOptions;
  readonly #connections = new Set<Connection>();
  readonly #timer: NodeJS.Timeout;
  /** Every connection is read into it, and what was read is used up or copied before the next is. */
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  #date = '';
  #dateSecond = 0;
  isClosing = false;

  constructor(options: ExpressLaneOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#closeIdle(performance.now() - KEEP_ALIVE_SECONDS * 1000), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  get date(): string {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = new Date(now).toUTCString();
    }
    return this.#date;
  }

  /** What a connection that was accepted just now is best replaced by before anything reads from it. */
  prepare(accepted: Socket): Socket {
    return readInto(this.#readBuffer, accepted);
  }

  /** Takes a new connection; `handOver` is called when another server is to have it. */
  take(socket: Socket, handOver: () => void): void {
    const connection = new Connection(socket, this, {
      ...this.#options,
      onLeft: (back) => {
        this.#connections.delete(connection);
        if (back) handOver();
      },
    });
    this.#connections.add(connection);
  }

  /** Closes connections without a request, and from now on each after its answer. */
  close(): void {
    this.isClosing = true;
    clearInterval(this.#timer);
    this.#closeIdle(Number.POSITIVE_INFINITY);
  }

  /** From now on each connection is closed after its answer, or not; those without a request stay. */
  closeAfterAnswers(isClosing: boolean): void {
    this.isClosing = isClosing;
  }

  /** Cuts every connection. */
  closeAll(): void {
    for (const connection of this.#connections) connection.cut();
  }

  [Symbol.dispose](): void {
    this.close();
    this.closeAll();
  }

  #closeIdle(sinceMs: number): void {
    for (const connection of this.#connections) if (connection.idleSinceMs < sinceMs) connection.cut();
  }
}

interface ConnectionOptions extends ExpressLaneOptions {
  /** It is no longer of this lane: closed, or another server's if `back`. */
  readonly onLeft: (back: boolean) => void;
}

/** One connection in the lane. */
class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #caller: PlainCaller;
  #ahead: Buffer | undefined;
  #idleSinceMs = performance.now();

  readonly #onRead = (buffer: Buffer, count: number): void => this.#read(buffer, count);
  readonly #onData = (chunk: Buffer): void => this.#read(chunk, chunk.length);
  readonly #onDrain = (): void => this.#caller.drained();
  // A caller that ends its side takes no answer any more, as for Node's own server.
  readonly #onEnd = (): void => void this.#socket.destroy();
  readonly #onError = (): void => void this.#socket.destroy();
  readonly #onClose = (): void => {
    this.#caller.gone();
    this.#options.onLeft(false);
  };

  constructor(socket: Socket, keeper: PlainCallerKeeper, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#caller = new PlainCaller(socket, keeper, (keep) => this.#answered(keep));
    if (socket instanceof DirectSocket) socket.reader = this.#onRead;
    else socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** Since when it has no request, in monotonic milliseconds; infinitely late while it has one. */
  get idleSinceMs(): number {
    return this.#caller.isBusy ? Number.POSITIVE_INFINITY : this.#idleSinceMs;
  }

  cut(): void {
    this.#socket.destroy();
  }

  /** Reads the first bytes of a buffer that is good for this turn only. */
  #read(buffer: Buffer, count: number): void {
    if (this.#caller.isBusy) {
      const chunk = Buffer.from(buffer.subarray(0, count));
      this.#ahead = this.#ahead ? Buffer.concat([this.#ahead, chunk]) : chunk;
      if (this.#ahead.length > MAX_AHEAD_BYTES) this.#socket.pause();
      return;
    }
    const isSmall = count <= this.#options.maxBytes;
    const request = isSmall ? readPlainRequest(buffer.toString('latin1', 0, count)) : undefined;
    if (!request || !this.#options.serve(this.#caller, request)) this.#handOver(buffer, count);
  }

  #answered(keep: boolean): void {
    this.#idleSinceMs = performance.now();
    if (!keep) {
      this.#socket.end();
      return;
    }
    if (this.#ahead) process.nextTick(() => this.#readAhead());
  }

  #readAhead(): void {
    const chunk = this.#ahead;
    if (!chunk || this.#socket.destroyed || this.#caller.isBusy) return;
    this.#ahead = undefined;
    this.#socket.resume();
    this.#read(chunk, chunk.length);
  }

  #handOver(buffer: Buffer, count: number): void {
    if (this.#socket instanceof DirectSocket) this.#socket.reader = undefined;
    this.#socket
      .off('data', this.#onData)
      .off('drain', this.#onDrain)
      .off('end', this.#onEnd)
      .off('error', this.#onError)
      .off('close', this.#onClose);
    this.#socket.unshift(Buffer.from(buffer.subarray(0, count)));
    this.#options.onLeft(true);
  }
}
