import { formatDuration, isColdWait, type WaitReport } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type { ResponseHead } from '../core/http1/response-head.ts';
import { BUSY_WAIT, type SlotFailure } from '../pool/admission.ts';
import type { AnswerHandler, InstanceConnection, Reach } from '../pool/instance-connection.ts';
import type { Attempt, Caller, CallerEvents } from './caller.ts';
import type { CallHeaders } from './headers.ts';
import { requestLines, responseHeaders, responseTrailers } from './headers.ts';
import type { GatewayContext, HeldSlot, Mirror } from './gateway-context.ts';
import { explainFailure, instanceFailure, isConnectTimeout, slotFailure } from './instance-failure.ts';
import type { Choice } from './fork.ts';
import type { Route } from './route.ts';
import { completeAnswer, givenCallId } from './openfaas-calls.ts';
import { answerError } from './send-error.ts';
import { serverTiming } from './server-timing.ts';
import type { Timed } from './timeouts.ts';

/** A request no byte of which was sent is tried on this many instances at most (G3). */
const MAX_ATTEMPTS = 3;
/** Status recorded for a caller that went away before there was one, as nginx does. */
const CLIENT_CLOSED_STATUS = 499;
/** The wait of a call whose function has no instance, until it is known what it comes to. */
const START_WAIT: WaitReport = { cause: 'scale-from-zero' };
/** How long before its deadline an instance is asked whether it answers at all: a quarter of the timeout, at most this. */
const MOST_AHEAD_MS = 1_000;
const AHEAD_SHARE = 4;
/** Too short a time to tell one that is slow from one that stands. */
const LEAST_AHEAD_MS = 100;
/** What may stand in a request line; Node's own server lets more through. */
const REQUEST_TARGET = /^[\x21-\xff]+$/;

/**
 * One request and its answer: takes a slot, streams both ways, aborts both ways, gives the slot back after the last
 * byte and records one event. One object per request and no closures, because this is the warm path.
 */
export class Exchange implements AnswerHandler, CallerEvents, CallHeaders, Timed {
  readonly callId: string;
  readonly startTime: string;
  readonly remoteAddress: string;
  readonly protocol = 'http';
  readonly stripAuthorization: boolean;
  readonly isOpenFaas: boolean;
  readonly shadowOf: string | undefined;
  readonly attempt: Attempt | undefined;
  deadline = '';
  dueMs = 0;
  sooner: Timed | undefined;
  later: Timed | undefined;

  readonly #context: GatewayContext;
  readonly #caller: Caller;
  readonly #route: Route;
  readonly #path: string;
  readonly #cookie: string | undefined;
  /** Has a copy of the request sent to a shadow version, and watches this one. */
  readonly #mirror: Mirror | undefined;
  readonly #startedAt = Date.now();
  readonly #arrivedMs = performance.now();
  #slotMs = 0;
  #firstByteMs = 0;
  #status = 0;
  #bytesOut = 0;
  #slot: HeldSlot | undefined;
  #connection: InstanceConnection | undefined;
  #waiting: AbortController | undefined;
  #failure: EbbError | undefined;
  #attempts = 0;
  /** Set once the request has to wait. */
  #waited: WaitReport | undefined;
  #done = false;
  /** Whether the instance was asked, shortly before the deadline, if it answers at all; then what it said. */
  #question: 'unasked' | 'silent' | 'answered' = 'unasked';

  constructor(context: GatewayContext, caller: Caller, route: Route, path: string, choice?: Choice) {
    this.#context = context;
    this.#caller = caller;
    this.#route = route;
    this.#path = path;
    this.startTime = `${context.startTimes.of(this.#startedAt)}000000`;
    this.remoteAddress = caller.remoteAddress;
    this.stripAuthorization = caller.stripAuthorization;
    this.shadowOf = caller.shadowOf;
    this.attempt = caller.attempt;
    this.isOpenFaas = route.isOpenFaas;
    this.callId = caller.attempt === undefined ? newIdOf(context, caller, route) : caller.attempt.callId;
    this.#cookie = choice?.cookie;
    const shadow = choice?.shadow;
    this.#mirror = shadow && context.mirrors.open({ caller, route, shadow, path, callId: this.callId });
    caller.attach(this);
    context.opened();
  }

  /** Sends the request to an instance, at once if one is free and its namespace was not called too often. */
  start(): void {
    if (this.#route.rate.isLimited) void this.#startLimited();
    else this.#acquire(true);
  }

  async #startLimited(): Promise<void> {
    try {
      await this.#route.rate.take();
    } catch (error) {
      this.fail(this.#context.expected(error, this.callId));
      return;
    }
    this.#acquire();
  }

  /** `isAtOnce` when no time has passed since the request came. */
  #acquire(isAtOnce = false): void {
    if (this.#done) return;
    this.#attempts += 1;
    try {
      const slot = this.#context.pools.tryAcquire(this.#route.version);
      if (slot) this.#forward(slot, isAtOnce);
      else void this.#wait();
    } catch (error) {
      this.fail(this.#context.expected(error, this.callId));
    }
  }

  /** Ends the exchange with an error: as the answer if none has begun, else by cutting the connection. */
  fail(error: EbbError): void {
    if (this.#done) return;
    this.#failure = error;
    this.#finish(slotFailure(error.code), error.status);
    this.#connection?.abort();
    this.#caller.failed?.(error);
    if (this.#caller.headersSent) this.#caller.destroy();
    else answerError(this.#caller, error, this, this.#timing());
  }

  /** The caller went away: the function's request is aborted and its slot given back. */
  abandon(): void {
    if (this.#done) return;
    this.#finish(undefined, this.#caller.headersSent ? this.#status : CLIENT_CLOSED_STATUS, 'unknown');
    this.#waiting?.abort(new EbbError('BAD_REQUEST', 'the caller went away'));
    this.#connection?.abort();
  }

  /** Lets more of the answer come after the caller has read what there was. */
  resume(): void {
    if (!this.#done) this.#connection?.resume();
  }

  // What follows is told by the connection to the instance.

  onHead(head: ResponseHead, whole: string | undefined): void {
    if (this.#done) return;
    this.#firstByteMs = performance.now();
    this.#status = head.status;
    const headers = responseHeaders(head.headers, this, this.#route.versionLabel);
    if (this.isOpenFaas) completeAnswer(headers, head.status, this.#caller.rawHeaders);
    // Beside whatever the function says in a header of that name.
    if (this.#waited !== undefined) headers.push('Server-Timing', this.#timing() ?? '');
    if (this.#cookie !== undefined) headers.push('Set-Cookie', this.#cookie);
    if (whole === undefined) {
      this.#caller.begin(head.status, head.reason, headers, head.framing === 'length');
      return;
    }
    this.#bytesOut = whole.length;
    this.#mirror?.saw(whole);
    this.#finish(undefined, head.status, 'well', this.#firstByteMs);
    this.#caller.answer(head.status, head.reason, headers, whole);
  }

  onData(chunk: Buffer): void {
    if (this.#done) return;
    this.#bytesOut += chunk.length;
    this.#mirror?.saw(chunk);
    const { bytes, sent } = this.#context.pieces.copy(chunk);
    if (!this.#caller.write(bytes, sent)) this.#connection?.pause();
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#done) return;
    this.#finish(undefined, this.#status);
    this.#caller.end(trailers.length === 0 ? trailers : responseTrailers(trailers));
  }

  onFailure(error: NodeJS.ErrnoException, reach: Reach): void {
    if (this.#done) return;
    if (reach === 'stale' && this.#slot) {
      // Restarted or frozen meanwhile; the instance itself may be as well as ever, and is asked over a new connection.
      this.#send(this.#slot);
      return;
    }
    if (reach === 'nothing') this.#slot?.fail(isConnectTimeout(error) ? 'full' : 'hard');
    if (reach === 'nothing' && this.#attempts < MAX_ATTEMPTS) {
      // No byte can have reached the function, so another instance may have the request (G3).
      this.#slot = undefined;
      this.#connection = undefined;
      this.#context.timeouts.leave(this);
      this.#question = 'unasked';
      this.#acquire();
      return;
    }
    if (this.#caller.isCutOff) {
      this.abandon();
      this.#caller.destroy();
      return;
    }
    const failure = instanceFailure(this.#route.version.name, error, reach !== 'nothing');
    if (failure.code === 'INSTANCE_CRASHED' && !this.#caller.headersSent) void this.#explain(failure);
    else this.fail(failure);
  }

  /** Answers a call whose instance cut the connection, as soon as it is known why. */
  async #explain(failure: EbbError): Promise<void> {
    const asked = this.#slot?.ending?.(this.callId);
    this.#slot?.fail('broken');
    const ending = await asked?.catch(() => undefined);
    this.fail(ending ? explainFailure(this.#route.version.name, failure, ending) : failure);
  }

  async #wait(): Promise<void> {
    this.#waiting = new AbortController();
    this.#waited = this.#context.pools.isCold(this.#route.version) ? START_WAIT : BUSY_WAIT;
    try {
      const slot = await this.#context.pools.acquire(this.#route.version, this.#waiting.signal);
      this.#waiting = undefined;
      this.#waited = slot.wait;
      if (this.#done) slot.release('unknown');
      else this.#forward(slot, false);
    } catch (error) {
      this.#waiting = undefined;
      const failure = this.#context.expected(error, this.callId);
      // Who found the line full, or too many calls there already, was never in it.
      if (failure.status === 429) this.#waited = undefined;
      this.fail(failure);
    }
  }

  #forward(slot: HeldSlot, isAtOnce: boolean): void {
    const { timeoutMs } = this.#route;
    this.#slot = slot;
    this.#slotMs = isAtOnce ? this.#arrivedMs : performance.now();
    this.deadline = this.#context.deadlines.of((isAtOnce ? this.#startedAt : Date.now()) + timeoutMs);
    this.#context.timeouts.join(this, timeoutMs - askAheadMs(timeoutMs), this.#slotMs);
    this.#send(slot);
  }

  #send(slot: HeldSlot): void {
    const { method, body, rawHeaders, isChunked } = this.#caller;
    const lines = requestLines(rawHeaders, this);
    if (lines === undefined || !REQUEST_TARGET.test(this.#path)) {
      const message =
        lines === undefined
          ? 'the request has more than one "Host" header'
          : 'the request cannot be forwarded: its target has characters that HTTP does not allow';
      this.fail(new EbbError('BAD_REQUEST', message));
      return;
    }
    const framing = isChunked ? 'Transfer-Encoding: chunked\r\n' : '';
    const head = `${method} ${this.#path} HTTP/1.1\r\n${lines}${framing}\r\n`;
    this.#connection = slot.endpoint.connections.send({ method, head, body, isChunked, tap: this.#mirror }, this);
    this.#mirror?.sent();
  }

  #finish(
    slotFailed: SlotFailure | undefined,
    status: number,
    went: 'well' | 'unknown' = 'well',
    endedMs = performance.now(),
  ): void {
    this.#done = true;
    this.#context.timeouts.leave(this);
    if (slotFailed) this.#slot?.fail(slotFailed);
    else this.#slot?.release(went);
    const { version } = this.#route;
    const slotMs = this.#slotMs === 0 ? endedMs : this.#slotMs;
    const queueMs = slotMs - this.#arrivedMs;
    this.#context.closed();
    this.#mirror?.ended(
      status,
      this.#failure === undefined && slotFailed === undefined && went === 'well',
      endedMs - this.#arrivedMs,
    );
    // Every field is set, if only to undefined: objects of one shape are cheap to make and to read.
    this.#context.record({
      callId: this.callId,
      namespace: version.namespace,
      name: version.name,
      label: this.#route.label,
      version: version.version,
      instance: this.#slot?.endpoint.instanceId,
      method: this.#caller.method,
      status,
      errorCode: this.#failure?.code,
      startedAt: this.#startedAt,
      durationMs: endedMs - this.#arrivedMs,
      cold: this.#waited !== undefined && isColdWait(this.#waited),
      wait: this.#waited,
      phases: {
        queueMs,
        firstByteMs: this.#firstByteMs === 0 ? undefined : this.#firstByteMs - slotMs,
      },
      bytesOut: this.#bytesOut,
      attempt: this.attempt?.number,
      shadow: undefined,
    });
  }

  /** What `Server-Timing` says, for a call that waited. */
  #timing(): string | undefined {
    const wait = this.#waited;
    if (wait === undefined) return undefined;
    if (this.#slotMs === 0) return serverTiming(wait, performance.now() - this.#arrivedMs);
    const firstByteMs = this.#firstByteMs === 0 ? undefined : this.#firstByteMs - this.#slotMs;
    return serverTiming(wait, this.#slotMs - this.#arrivedMs, firstByteMs);
  }

  /** For the timeouts alone: the deadline is over, or near. */
  expire(): void {
    const { version, timeoutMs } = this.#route;
    const aheadMs = askAheadMs(timeoutMs);
    if (this.#question === 'unasked' && aheadMs > 0) {
      this.#ask(aheadMs);
      this.#context.timeouts.join(this, aheadMs, performance.now());
      return;
    }
    const message = `${version.name} did not answer within its timeout of ${formatDuration(timeoutMs)}`;
    this.fail(
      this.#question === 'silent'
        ? new EbbError('INSTANCE_BLOCKED', `${message}, and its instance answers nothing: its event loop is blocked`)
        : new EbbError('FUNCTION_TIMEOUT', message),
    );
  }

  /** Asks the instance, which is about to miss the deadline, whether it answers at all. */
  #ask(aheadMs: number): void {
    const { questionPath } = this.#route;
    this.#question = questionPath === undefined ? 'answered' : 'silent';
    if (questionPath === undefined || !this.#slot) return;
    const asked = this.#slot.endpoint.connections.answers(questionPath, aheadMs);
    void asked.then((isAnswered) => {
      if (isAnswered) this.#question = 'answered';
    });
  }
}

/** The id of a call from outside: where the function's callers may choose it, theirs. A copy is a call of its own. */
function newIdOf(context: GatewayContext, caller: Caller, route: Route): string {
  const given = route.isOpenFaas && caller.shadowOf === undefined ? givenCallId(caller.rawHeaders) : undefined;
  return given ?? context.callIds.next();
}

/** How long before its deadline a call's instance is asked. */
function askAheadMs(timeoutMs: number): number {
  const aheadMs = Math.min(MOST_AHEAD_MS, Math.floor(timeoutMs / AHEAD_SHARE));
  return aheadMs < LEAST_AHEAD_MS ? 0 : aheadMs;
}
