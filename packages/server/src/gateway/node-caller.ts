import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller, CallerEvents } from './caller.ts';
import { isAuthorizationOurs } from './headers.ts';

/** A caller whose request Node's HTTP server has read: any there can be. */
export class NodeCaller implements Caller {
  readonly method: string;
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
  readonly stripAuthorization: boolean;
  readonly shadowOf = undefined;
  readonly attempt = undefined;
  readonly isChunked: boolean;
  readonly body: IncomingMessage | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, route: { readonly authRequired: boolean }) {
    this.#request = request;
    this.#response = response;
    this.method = request.method ?? '';
    this.rawHeaders = request.rawHeaders;
    this.remoteAddress = request.socket.remoteAddress ?? '';
    this.stripAuthorization = isAuthorizationOurs(request, route);
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
    this.isChunked = coding !== undefined;
    this.body = coding !== undefined || (length !== undefined && length !== '0') ? request : undefined;
  }

  get headersSent(): boolean {
    return this.#response.headersSent;
  }

  get isGone(): boolean {
    return this.#response.destroyed;
  }

  get isCutOff(): boolean {
    return this.#request.destroyed && !this.#request.complete;
  }

  attach(events: CallerEvents): void {
    this.#response.once('close', () => events.abandon());
    this.#response.on('drain', () => events.resume());
  }

  answer(status: number, reason: string, headers: readonly string[], body: string): void {
    this.#response.writeHead(status, reason, headers as string[]);
    // As text of one byte a character it joins the head in a single write.
    this.#response.end(body, 'latin1');
  }

  begin(status: number, reason: string, headers: readonly string[]): void {
    this.#response.writeHead(status, reason, headers as string[]);
    this.#response.flushHeaders();
  }

  write(chunk: Buffer, sent?: () => void): boolean {
    return this.#response.write(chunk, sent);
  }

  end(trailers: readonly string[]): void {
    const pairs: [string, string][] = [];
    for (let i = 0; i + 1 < trailers.length; i += 2) pairs.push([trailers[i] as string, trailers[i + 1] as string]);
    if (pairs.length > 0) this.#response.addTrailers(pairs);
    this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }
}
