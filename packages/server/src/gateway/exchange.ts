import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { formatDuration } from '@ebb/contract';
import type { Dispatcher } from 'undici';
import { EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import type { Slot, SlotFailure } from '../pool/admission.ts';
import type { CallHeaders } from './headers.ts';
import { isAuthorizationOurs, requestHeaders, responseHeaders, responseTrailers } from './headers.ts';
import { instanceFailure, slotFailure } from './instance-failure.ts';
import { RequestBody } from './request-body.ts';
import type { Route } from './route-table.ts';
import { sendError } from './send-error.ts';
import type { GatewayContext } from './gateway-context.ts';

/** A request no byte of which was sent is tried on this many instances at most (G3). */
const MAX_ATTEMPTS = 3;
/** An answer up to this size leaves together with its head. */
const SMALL_BODY_BYTES = 16_384;
/** Status recorded for a caller that went away before there was one, as nginx does. */
const CLIENT_CLOSED_STATUS = 499;

const exchangeOf = Symbol('exchange');
type TrackedResponse = ServerResponse & { [exchangeOf]?: Exchange };

/**
 * One request and its answer: takes a slot, streams both ways, aborts both ways, gives the slot back after the last
 * byte and records one event. One object per request and no closures, because this is the warm path.
 */
export class Exchange implements Dispatcher.DispatchHandler, CallHeaders {
  readonly callId = newCallId();
  readonly startTime: string;
  readonly remoteAddress: string;
  readonly protocol = 'http';
  readonly stripAuthorization: boolean;
  deadline = '';
  hasBody = false;

  readonly #context: GatewayContext;
  readonly #request: IncomingMessage;
  readonly #response: TrackedResponse;
  readonly #route: Route;
  readonly #path: string;
  readonly #startedAt = Date.now();
  readonly #arrivedMs = performance.now();
  #slotMs = 0;
  #firstByteMs = 0;
  #bytesOut = 0;
  #held: Buffer | undefined;
  #isTurnOver = false;
  #slot: Slot | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #waiting: AbortController | undefined;
  #failure: EbbError | undefined;
  #attempts = 0;
  #cold = false;
  #sent = false;
  #done = false;

  constructor(context: GatewayContext, request: IncomingMessage, response: ServerResponse, route: Route, path: string) {
    this.#context = context;
    this.#request = request;
    this.#response = response;
    this.#route = route;
    this.#path = path;
    this.startTime = `${this.#startedAt}000000`;
    this.remoteAddress = request.socket.remoteAddress ?? '';
    this.stripAuthorization = isAuthorizationOurs(request, route);
    this.#response[exchangeOf] = this;
    response.on('close', onResponseClose);
    context.opened();
  }

  /** Sends the request to an instance, at once if one is free. */
  start(): void {
    if (this.#done) return;
    const { version } = this.#route;
    this.#attempts += 1;
    try {
      const slot = this.#context.pools.tryAcquire(version);
      if (slot) this.#forward(slot);
      else void this.#wait();
    } catch (error) {
      this.fail(this.#context.expected(error, this.callId));
    }
  }

  /** Ends the exchange with an error: as the answer if none has begun, else by cutting the connection. */
  fail(error: EbbError): void {
    if (this.#done) return;
    this.#failure = error;
    // Finished first: the abort reports back at once, and that must not count as a crash of the instance.
    this.#finish(slotFailure(error.code));
    this.#controller?.abort(error);
    if (this.#response.headersSent) this.#response.destroy();
    else sendError(this.#response, error, this.callId);
  }

  /** The caller went away: the function's request is aborted and its slot given back. */
  abandon(): void {
    if (this.#done) return;
    this.#finish(undefined, this.#response.headersSent ? this.#response.statusCode : CLIENT_CLOSED_STATUS);
    const reason = new EbbError('BAD_REQUEST', 'the caller went away');
    this.#waiting?.abort(reason);
    this.#controller?.abort(reason);
  }

  /** Lets more of the answer come after the caller has read what there was. */
  resume(): void {
    this.#controller?.resume();
  }

  // What follows is undici's dispatch handler.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sent = true;
    if (this.#done) controller.abort(this.#failure ?? new EbbError('BAD_REQUEST', 'the caller went away'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    if (this.#done || statusCode < 200) return;
    this.#firstByteMs = performance.now();
    const raw = (controller as unknown as { rawHeaders: readonly Buffer[] }).rawHeaders;
    const headers = responseHeaders(raw, {
      callId: this.callId,
      startTime: this.startTime,
      version: this.#route.versionLabel,
    });
    // Throws for characters that HTTP does not allow; undici then hands the error to onResponseError.
    this.#response.writeHead(statusCode, statusMessage ?? '', headers);
    // Most answers are whole within this turn and leave in one write; if not, what there is goes now.
    process.nextTick(onTurnOver, this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    this.#bytesOut += chunk.length;
    if (this.#bytesOut === chunk.length && chunk.length <= SMALL_BODY_BYTES && !this.#isTurnOver) {
      this.#held = chunk;
      return;
    }
    this.#release();
    this.#write(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#done) return;
    const trailers = (controller as unknown as { rawTrailers: readonly Buffer[] | null }).rawTrailers;
    if (trailers && trailers.length > 0) this.#response.addTrailers(responseTrailers(trailers));
    const held = this.#held;
    this.#finish(undefined);
    // As text of one byte a character it joins the head in a single write instead of following it in a second piece.
    if (held) this.#response.end(held.toString('latin1'), 'latin1');
    else this.#response.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error & { code?: string }): void {
    if (this.#done) return;
    if (error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED') {
      // Never tried, and no fault of the instance.
      const message = 'the request cannot be forwarded: its target or a header is not valid HTTP';
      this.fail(new EbbError('BAD_REQUEST', message, { cause: error }));
      return;
    }
    if (!this.#sent && this.#attempts < MAX_ATTEMPTS) {
      // No byte can have reached the function, so another instance may have the request (G3).
      this.#slot?.fail('hard');
      this.#slot = undefined;
      clearTimeout(this.#deadlineTimer);
      this.start();
      return;
    }
    if (this.#request.destroyed && !this.#request.complete) {
      this.abandon();
      this.#response.destroy();
      return;
    }
    this.fail(instanceFailure(this.#route.version.name, error, this.#sent));
  }

  async #wait(): Promise<void> {
    this.#waiting = new AbortController();
    this.#cold = this.#context.pools.isCold(this.#route.version);
    try {
      const slot = await this.#context.pools.acquire(this.#route.version, this.#waiting.signal);
      this.#waiting = undefined;
      if (this.#done) slot.release();
      else this.#forward(slot);
    } catch (error) {
      this.#waiting = undefined;
      this.fail(this.#context.expected(error, this.callId));
    }
  }

  #forward(slot: Slot): void {
    const { timeoutMs } = this.#route;
    this.#slot = slot;
    this.#slotMs = performance.now();
    this.deadline = String(Date.now() + timeoutMs);
    this.#deadlineTimer = setTimeout(onDeadline, timeoutMs, this);
    const headers = requestHeaders(this.#request.rawHeaders, this);
    if (!headers) {
      this.fail(new EbbError('BAD_REQUEST', 'the request has more than one "Host" header'));
      return;
    }
    // Whatever goes wrong is reported to onResponseError, at once or later.
    slot.endpoint.connections.dispatch(
      {
        path: this.#path,
        method: this.#request.method as Dispatcher.HttpMethod,
        headers,
        body: this.hasBody ? (new RequestBody(this.#request) as unknown as Readable) : null,
      },
      this,
    );
  }

  #finish(slotFailed: SlotFailure | undefined, status = this.#failure?.status ?? this.#response.statusCode): void {
    this.#done = true;
    clearTimeout(this.#deadlineTimer);
    if (slotFailed) this.#slot?.fail(slotFailed);
    else this.#slot?.release();
    const { version } = this.#route;
    const endedMs = performance.now();
    const slotMs = this.#slotMs === 0 ? endedMs : this.#slotMs;
    const queueMs = slotMs - this.#arrivedMs;
    this.#context.closed();
    // Every field is set, if only to undefined: objects of one shape are cheap to make and to read.
    this.#context.record({
      callId: this.callId,
      namespace: version.namespace,
      name: version.name,
      version: version.version,
      instance: this.#slot?.endpoint.instanceId,
      method: this.#request.method ?? '',
      status,
      errorCode: this.#failure?.code,
      startedAt: this.#startedAt,
      durationMs: endedMs - this.#arrivedMs,
      cold: this.#cold,
      phases: {
        queueMs,
        startMs: this.#cold ? queueMs : undefined,
        firstByteMs: this.#firstByteMs === 0 ? undefined : this.#firstByteMs - slotMs,
      },
      bytesOut: this.#bytesOut,
    });
  }

  #write(controller: Dispatcher.DispatchController | undefined, chunk: Buffer): void {
    if (this.#response.write(chunk)) return;
    controller?.pause();
    this.#response.once('drain', onResponseDrain);
  }

  /** Writes what was held back in the hope of the end. */
  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#write(this.#controller, held);
  }

  /** For the turn's end alone: the answer is not whole yet, so head and first bytes go to the caller now. */
  turnOver(): void {
    this.#isTurnOver = true;
    if (this.#done) return;
    if (this.#held) this.#release();
    else if (!this.#response.destroyed && !this.#response.writableEnded) this.#response.flushHeaders();
  }

  /** For the deadline's timer alone. */
  timedOut(): void {
    const { version, timeoutMs } = this.#route;
    this.fail(
      new EbbError(
        'FUNCTION_TIMEOUT',
        `${version.name} did not answer within its timeout of ${formatDuration(timeoutMs)}`,
      ),
    );
  }
}

function onDeadline(exchange: Exchange): void {
  exchange.timedOut();
}

function onResponseClose(this: TrackedResponse): void {
  this[exchangeOf]?.abandon();
}

function onResponseDrain(this: TrackedResponse): void {
  this[exchangeOf]?.resume();
}

function onTurnOver(exchange: Exchange): void {
  exchange.turnOver();
}
