import type { EbbError } from '../core/errors.ts';
import type { BodySource } from '../pool/request-pump.ts';

/** What a {@link Caller} tells the exchange that serves it. */
export interface CallerEvents {
  /** The caller went away before it had its whole answer. */
  abandon(): void;
  /** The caller has read what there was; more may come. */
  resume(): void;
}

/** What the platform says of a call that it makes itself: which one, and for the how many-th time. */
export interface Attempt {
  readonly callId: string;
  /** From 1. */
  readonly number: number;
  /** What else it says, in headers of its own; names and values alternate. */
  readonly platformHeaders?: readonly string[] | undefined;
}

/** Who made a request, and how it is answered. There is one request at a time. */
export interface Caller {
  readonly method: string;
  /** Names and values alternate, as they came. */
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
  /** Whether `Authorization` was for the platform and must not reach the function. */
  readonly stripAuthorization: boolean;
  /** The request's body: whole (one character a byte), a stream, or none. */
  readonly body: string | BodySource | undefined;
  /** Whether the length of a body that is a stream is unknown, so that it goes on in chunks. */
  readonly isChunked: boolean;
  /** Id of the call that this one is a copy of, for a shadow version. */
  readonly shadowOf: string | undefined;
  /** Set where the platform makes the call. */
  readonly attempt: Attempt | undefined;
  readonly headersSent: boolean;
  /** Whether nothing can be said to the caller any more. */
  readonly isGone: boolean;
  /** Whether the caller left in the middle of its own request. */
  readonly isCutOff: boolean;
  /** Says who is to be told what happens to the caller. */
  attach(events: CallerEvents): void;
  /** Says why there is no answer, or no whole one; what the caller gets for it follows. */
  failed?(error: EbbError): void;
  /** Gives the whole answer in one go. `body` has one character a byte. Headers alternate names and values. */
  answer(status: number, reason: string, headers: readonly string[], body: string): void;
  /** Begins an answer whose body comes in pieces; `hasLength` when its length is among the headers. */
  begin(status: number, reason: string, headers: readonly string[], hasLength: boolean): void;
  /**
   * A piece of the body, the caller's until `sent` is called; false when no more should come until the events say so.
   */
  write(chunk: Buffer, sent?: () => void): boolean;
  /** Ends an answer that was begun. */
  end(trailers: readonly string[]): void;
  /** Cuts the connection, so that a part is not taken for the whole. */
  destroy(): void;
}
