import type { IncomingMessage } from 'node:http';

type Listener = (...args: unknown[]) => void;

/**
 * A request's body as undici reads a stream. undici destroys a body it no longer needs; done to a request, that
 * leaves a connection on which nothing is ever read again. Here the rest is read and dropped instead, so a function
 * may answer before it has read everything and the caller's connection stays usable.
 */
export class RequestBody {
  destroyed = false;
  readonly #request: IncomingMessage;

  constructor(request: IncomingMessage) {
    this.#request = request;
  }

  get readable(): boolean {
    return this.#request.readable;
  }

  get readableEnded(): boolean {
    return this.#request.readableEnded;
  }

  get errored(): Error | null {
    return this.#request.errored;
  }

  get closed(): boolean {
    return this.#request.closed;
  }

  /** Tells undici that the end destroys the stream, so that it does not have to. */
  get _readableState(): { readonly autoDestroy: true } {
    return STATE;
  }

  on(event: string, listener: Listener): this {
    this.#request.on(event, listener);
    return this;
  }

  off(event: string, listener: Listener): this {
    this.#request.off(event, listener);
    return this;
  }

  removeListener(event: string, listener: Listener): this {
    return this.off(event, listener);
  }

  pause(): void {
    this.#request.pause();
  }

  resume(): void {
    this.#request.resume();
  }

  /** For undici to see a stream; it reads by events. */
  pipe(): never {
    throw new Error('a request body is read by its events');
  }

  destroy(): void {
    this.destroyed = true;
    this.#request.resume();
  }
}

const STATE = { autoDestroy: true } as const;
