import type { Readable } from 'node:stream';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { AnswerSink, PlatformCall } from '../core/ports.ts';
import type { Attempt, Caller, CallerEvents } from './caller.ts';
import { headerValue } from './traffic/read-headers.ts';

/** What of a request says how long its body is. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);
/** Methods whose requests say that their body is empty (RFC 9110 section 8.6). */
const WITH_LENGTH: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
/** Where calls of the platform come from, for the function. */
const OWN_ADDRESS = '127.0.0.1';

/** How the exchange went, as its caller sees it. */
export type Answered =
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: 'failed'; readonly error: EbbError }
  | { readonly kind: 'aborted' };

/** Stands for the caller of a call that the platform makes: sends its body and hands the answer to a sink. */
export class PlatformCaller implements Caller {
  readonly method: string;
  readonly rawHeaders: readonly string[];
  readonly remoteAddress = OWN_ADDRESS;
  readonly stripAuthorization = false;
  readonly shadowOf = undefined;
  readonly isChunked = false;
  readonly body: string | Readable | undefined;
  readonly attempt: Attempt;
  /** Resolves when the sink has the whole answer, or none or no more of it will come. */
  readonly ended: Promise<Answered>;
  readonly isCutOff = false;
  headersSent = false;
  isGone = false;
  readonly #sink: AnswerSink;
  readonly #resolve: (answered: Answered) => void;
  #events: CallerEvents | undefined;
  #status = 0;
  #failure: EbbError | undefined;
  /** Pieces that came while the sink was busy. */
  #pieces: Buffer[] = [];
  #isBusy = false;
  #isWhole = false;

  constructor(call: PlatformCall, sink: AnswerSink) {
    const { method, body } = call;
    this.method = method;
    this.attempt = { callId: call.callId, number: call.attempt, platformHeaders: call.platformHeaders };
    this.rawHeaders = headersOf(call);
    this.#sink = sink;
    const { promise, resolve } = Promise.withResolvers<Answered>();
    this.ended = promise;
    this.#resolve = resolve;
    this.body = body.kind === 'stream' ? this.#open(body) : textOf(body);
  }

  attach(events: CallerEvents): void {
    this.#events = events;
  }

  /** Gives the call up: its request is taken from the instance. */
  leave(): void {
    this.#leave({ kind: 'aborted' });
  }

  failed(error: EbbError): void {
    this.#failure ??= error;
  }

  answer(status: number, _reason: string, headers: readonly string[], body: string): void {
    // An error of the platform is told as such and not as the answer that a client would get for it.
    if (this.#failure) return this.destroy();
    this.begin(status, '', headers);
    if (body !== '') this.#give(Buffer.from(body, 'latin1'));
    this.end();
  }

  begin(status: number, _reason: string, headers: readonly string[]): void {
    this.headersSent = true;
    this.#status = status;
    try {
      this.#sink.onHead(status, headers);
    } catch (error) {
      this.#refused(error);
    }
  }

  write(chunk: Buffer, sent?: () => void): boolean {
    this.#give(Buffer.from(chunk));
    sent?.();
    return !this.#isBusy;
  }

  end(): void {
    this.#isWhole = true;
    if (!this.#isBusy) this.#settleWhole();
  }

  destroy(): void {
    this.#settle(this.#failure ? { kind: 'failed', error: this.#failure } : { kind: 'aborted' });
  }

  /** Hands a piece on, and waits with the next until the sink has taken it. */
  #give(piece: Buffer): void {
    if (this.isGone || this.#failure) return;
    if (this.#isBusy) {
      this.#pieces.push(piece);
      return;
    }
    try {
      const taking = this.#sink.onData(piece);
      if (taking === undefined) return;
      this.#isBusy = true;
      taking.then(() => this.#taken()).catch((error: unknown) => this.#refused(error));
    } catch (error) {
      this.#refused(error);
    }
  }

  #taken(): void {
    this.#isBusy = false;
    for (let piece = this.#pieces.shift(); piece; piece = this.#pieces.shift()) {
      this.#give(piece);
      if (this.#isBusy) return;
    }
    if (this.#isWhole) this.#settleWhole();
    else this.#events?.resume();
  }

  /** The sink cannot take the answer. */
  #refused(error: unknown): void {
    const failure = asEbbError(error);
    this.#failure ??= failure;
    // What the exchange still has to do in this turn comes first.
    queueMicrotask(() => this.#leave({ kind: 'failed', error: failure }));
  }

  #settleWhole(): void {
    if (this.#failure) this.#settle({ kind: 'failed', error: this.#failure });
    else this.#settle({ kind: 'answered', status: this.#status });
  }

  #leave(answered: Answered): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#events?.abandon();
    this.#settle(answered);
  }

  #settle(answered: Answered): void {
    this.isGone = true;
    if (typeof this.body === 'object') this.body.destroy();
    this.#resolve(answered);
  }

  #open({ open }: Extract<PlatformCall['body'], { readonly kind: 'stream' }>): Readable {
    const stream = open();
    stream.on('error', (cause) => {
      const failure = new EbbError('STORE_FAILED', `the body of the call could not be read: ${cause.message}`, {
        cause,
      });
      this.#failure ??= failure;
      this.#leave({ kind: 'failed', error: failure });
    });
    return stream;
  }
}

/** The headers as they would come from a client, with the length of this body and no other. */
function headersOf({ headers, body, method, namespace, name }: PlatformCall): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const header = headers[i] ?? '';
    if (!FRAMING.has(header.toLowerCase())) kept.push(header, headers[i + 1] ?? '');
  }
  if (headerValue(headers, 'host') === undefined) kept.push('Host', `${name}.${namespace}`);
  const length = body.kind === 'none' ? 0 : body.kind === 'bytes' ? body.bytes.length : body.sizeBytes;
  if (length > 0 || WITH_LENGTH.has(method)) kept.push('Content-Length', String(length));
  return kept;
}

function textOf(body: Exclude<PlatformCall['body'], { readonly kind: 'stream' }>): string | undefined {
  if (body.kind === 'none' || body.bytes.length === 0) return undefined;
  const { buffer, byteOffset, byteLength } = body.bytes;
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
}
