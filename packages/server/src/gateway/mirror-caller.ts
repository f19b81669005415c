import { AnswerDigest } from './answer-digest.ts';
import type { Caller, CallerEvents } from './caller.ts';

/** What of a caller is copied. */
export type CopiedCaller = Pick<Caller, 'method' | 'rawHeaders' | 'remoteAddress' | 'stripAuthorization'> & {
  readonly body: string | undefined;
};

/** Stands for the caller of a copy: takes the answer and keeps nothing but its digest. */
export class MirrorCaller implements Caller {
  readonly method: string;
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
  readonly stripAuthorization: boolean;
  readonly body: string | undefined;
  readonly shadowOf: string;
  readonly attempt = undefined;
  readonly isChunked = false;
  isGone = false;
  readonly isCutOff = false;
  headersSent = false;
  readonly #digest = new AnswerDigest();
  #events: CallerEvents | undefined;

  /** `shadowOf` is the id of the call it is a copy of. */
  constructor({ method, rawHeaders, remoteAddress, stripAuthorization, body }: CopiedCaller, shadowOf: string) {
    this.method = method;
    this.rawHeaders = hasLength(rawHeaders) || body === undefined ? rawHeaders : withLength(rawHeaders, body.length);
    this.remoteAddress = remoteAddress;
    this.stripAuthorization = stripAuthorization;
    this.body = body;
    this.shadowOf = shadowOf;
  }

  /** Digest of the answer's body, once it is whole; see {@link AnswerDigest.value}. */
  get digest(): string | undefined {
    return this.#digest.value;
  }

  attach(events: CallerEvents): void {
    this.#events = events;
  }

  /** Gives the copy up. */
  leave(): void {
    this.isGone = true;
    this.#events?.abandon();
  }

  answer(_status: number, _reason: string, _headers: readonly string[], body: string): void {
    this.headersSent = true;
    this.#digest.add(body);
  }

  begin(): void {
    this.headersSent = true;
  }

  write(chunk: Buffer, sent?: () => void): boolean {
    this.#digest.add(chunk);
    sent?.();
    return true;
  }

  end(): void {}

  destroy(): void {}
}

function hasLength(rawHeaders: readonly string[]): boolean {
  return rawHeaders.some((text, i) => i % 2 === 0 && text.toLowerCase() === 'content-length');
}

/** A body that came in chunks is sent on whole. */
function withLength(rawHeaders: readonly string[], length: number): readonly string[] {
  return [...rawHeaders, 'Content-Length', String(length)];
}
