import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { parseFunctionName, REPLAYED_HEADER } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import { discardRest } from '../core/http1/discard-rest.ts';
import { readChunks } from '../core/http1/read-chunks.ts';
import { steadyChunks } from '../core/http1/steady-chunks.ts';
import type { PlainRequest } from '../core/http1/request-head.ts';
import { newCallId } from '../core/ids.ts';
import type { AcceptedCall, Acceptor, CallBody, GivenBody, GivenCall, Invocations } from '../core/ports.ts';
import { addressedBy } from './addressed-by.ts';
import { checkCredentials, type Gateway } from './gateway.ts';
import { isAuthorizationOurs, keptHeaders } from './headers.ts';
import { ASYNC_PREFIX, splitFunctionPath } from './path.ts';
import type { PlainCaller } from './plain-caller.ts';
import { readSubmitHeaders } from './read-submit-headers.ts';
import type { Found, RouteTable } from './route-table.ts';
import { answerError, sendError } from './send-error.ts';
import type { GatewayOptions } from './gateway.ts';

/** What an {@link AsyncDoor} is made with. */
export interface AsyncDoorOptions extends Pick<GatewayOptions, 'authenticator'> {
  readonly routes: Pick<RouteTable, 'find' | 'lookUp'>;
  readonly acceptor: Pick<Acceptor, 'enqueue' | 'receive'>;
  /** Where calls are cancelled. */
  readonly calls: Pick<Invocations, 'functionOf' | 'cancel'>;
  /** Counts what is being accepted, and knows whether the server still takes calls. */
  readonly gateway: Pick<Gateway, 'opened' | 'closed' | 'isDraining' | 'expected' | 'isForHost'>;
  readonly gate: DoorGate;
}

/** What stands before the queue, which another server may take over. */
export interface DoorGate {
  /** Lets a plain request in until it calls what is returned; undefined while such requests have to take the other way. */
  enter(): (() => void) | undefined;
  /** Says, once that is known, whether a call is to be queued here, or who is to answer its request. */
  pass(): Promise<DoorPass>;
  readonly isTurnedOver: boolean;
  handle(request: IncomingMessage, response: ServerResponse): void;
}

/** Where a call is to be queued. */
export type DoorPass =
  | { readonly kind: 'here'; readonly leave: () => void }
  | {
      readonly kind: 'elsewhere';
      /** Has another server answer; `body` is what was read of the request already. */
      readonly handle: (request: IncomingMessage, response: ServerResponse, body: Readable) => void;
    };

/** An id of a call, in place of a function's name. */
const CALL_PATH =
  /^\/async-function\/([0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\/?(?:\?|$)/;

/**
 * Accepts calls that are made later, under `/async-function/`: the same names, versions and credentials as for calls under
 * `/function/`, and 202 once the call is on disk (A1). `DELETE /async-function/ID` takes a call back, for whoever may make
 * it and knows its id.
 */
export class AsyncDoor {
  readonly #options: AsyncDoorOptions;

  constructor(options: AsyncDoorOptions) {
    this.#options = options;
  }

  /**
   * Accepts a plain request of the express lane; returns false, untouched, for what is not for here or needs more:
   * credentials, a refusal, a version that is to be looked up.
   */
  handlePlain(caller: PlainCaller, request: PlainRequest): boolean {
    const { method, target, headers, host } = request;
    if (method !== 'POST' || !target.startsWith(ASYNC_PREFIX)) return false;
    const { gateway, routes, gate } = this.#options;
    const path = splitFunctionPath(target, ASYNC_PREFIX);
    if (!path || gateway.isDraining || gateway.isForHost(host)) return false;
    const segment = request.isAddressed ? addressedBy(path.segment, headers) : path.segment;
    const found = routes.find(segment);
    if ((found.kind !== 'route' && found.kind !== 'fork') || found.authRequired) return false;
    const body: GivenBody =
      request.body === undefined ? { kind: 'none' } : { kind: 'bytes', bytes: Buffer.from(request.body, 'latin1') };
    let call: GivenCall;
    try {
      call = callOf({ segment, method, path: path.rest, rawHeaders: headers, stripAuthorization: false, body });
    } catch {
      // The other way says what is wrong with it.
      return false;
    }
    const leave = gate.enter();
    if (!leave) return false;
    caller.begins(request);
    gateway.opened();
    void this.#answerPlain(caller, call).finally(() => {
      leave();
      gateway.closed();
    });
    return true;
  }

  /**
   * Answers a request under `/async-function/`; returns false, untouched, for any other. A body may take its time: neither
   * a server that ends nor a successor waits for it. Another server that has the queue by then gets it from here.
   */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.url?.startsWith(ASYNC_PREFIX) !== true) return false;
    const [, id] = (request.method === 'DELETE' && CALL_PATH.exec(request.url)) || [];
    void (id === undefined ? this.#answer(request, response) : this.#cancel(id, request, response));
    return true;
  }

  async #answerPlain(caller: PlainCaller, call: GivenCall): Promise<void> {
    try {
      const accepted = await this.#options.acceptor.enqueue(call);
      if (!caller.isGone) caller.answer(202, 'Accepted', acceptedHeaders(accepted), '');
    } catch (error) {
      const callId = newCallId();
      answerError(caller, this.#options.gateway.expected(error, callId), callId);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { acceptor, gate, gateway } = this.#options;
    try {
      const received = await acceptor.receive(await this.#callOf(request));
      const passed = await gate.pass();
      if (passed.kind === 'elsewhere') {
        passed.handle(request, response, readableOf(received.body));
        return;
      }
      gateway.opened();
      try {
        response.writeHead(202, 'Accepted', acceptedHeaders(await received.queue()));
        response.end();
      } finally {
        passed.leave();
        gateway.closed();
      }
    } catch (error) {
      this.#refuse(request, response, error);
    }
  }

  async #cancel(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { calls, gate, gateway } = this.#options;
    try {
      const passed = await gate.pass();
      if (passed.kind === 'elsewhere') {
        passed.handle(request, response, request);
        return;
      }
      gateway.opened();
      try {
        await this.#checkCall(id, request);
        await calls.cancel(id);
        discardRest(request);
        response.writeHead(202, 'Accepted', ['X-Call-Id', id, 'Content-Length', '0']);
        response.end();
      } finally {
        passed.leave();
        gateway.closed();
      }
    } catch (error) {
      this.#refuse(request, response, error);
    }
  }

  /** Whoever may call the function may take a call of it back; of one that is gone that is not known any more. */
  async #checkCall(id: string, request: IncomingMessage): Promise<void> {
    const { authenticator, calls, routes } = this.#options;
    const { namespace, name } = await calls.functionOf(id);
    const found = routes.find(`${name}.${namespace}`);
    if (found.kind === 'missing' || found.authRequired) await checkCredentials(authenticator, request);
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const { gate, gateway } = this.#options;
    // Whoever left in the middle of its request is not told what came of it: nothing.
    if (request.destroyed && !request.complete) return;
    const callId = newCallId();
    const failure = gateway.expected(error, callId);
    // What was to be looked up is another server's by now, and so is the request, of which nothing was read.
    if (failure.code === 'DRAINING' && gate.isTurnedOver && !request.readableDidRead) {
      gate.handle(request, response);
      return;
    }
    if (failure.code === 'METHOD_NOT_ALLOWED') response.setHeader('Allow', 'POST');
    discardRest(request);
    if (!response.destroyed) sendError(response, failure, callId);
  }

  async #callOf(request: IncomingMessage): Promise<GivenCall> {
    const { gateway, routes } = this.#options;
    const { method = '', rawHeaders, url = '' } = request;
    if (gateway.isDraining)
      throw new EbbError('DRAINING', 'the server is shutting down and takes no new calls', { retryAfterSeconds: 1 });
    const path = splitFunctionPath(url, ASYNC_PREFIX);
    if (!path || path.segment === '')
      throw new EbbError('BAD_PATH', `the path must be ${ASYNC_PREFIX}NAME or ${ASYNC_PREFIX}NAME.NAMESPACE`);
    if (method !== 'POST')
      throw new EbbError('METHOD_NOT_ALLOWED', `${method} is not possible on ${ASYNC_PREFIX}NAME, only POST`);
    const segment = addressedBy(path.segment, rawHeaders);
    const found = routes.find(segment);
    const authRequired = await this.#check(found, request);
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
    const hasBody = coding !== undefined || (length !== undefined && length !== '0');
    return callOf({
      segment,
      method,
      path: path.rest,
      rawHeaders,
      stripAuthorization: isAuthorizationOurs(request, { authRequired }),
      body: hasBody
        ? { kind: 'chunks', chunks: steadyChunks(readChunks(request)), sizeBytes: lengthOf(length) }
        : { kind: 'none' },
    });
  }

  /** Checks credentials where the function wants them, and that there is what was named. Throws as a call would. */
  async #check(found: Found, request: IncomingMessage): Promise<boolean> {
    const { authenticator, routes } = this.#options;
    if (found.kind === 'missing') throw new EbbError(found.code, found.message);
    // Who may not call the function learns nothing of its versions.
    if (found.authRequired) await checkCredentials(authenticator, request);
    if (found.kind !== 'unlisted') return found.authRequired;
    const route = await routes.lookUp(found);
    if (route.authRequired && !found.authRequired) await checkCredentials(authenticator, request);
    return route.authRequired;
  }
}

interface Submitted {
  readonly segment: string;
  readonly method: string;
  readonly path: string;
  readonly rawHeaders: readonly string[];
  readonly stripAuthorization: boolean;
  readonly body: GivenBody;
}

function callOf({ segment, method, path, rawHeaders, stripAuthorization, body }: Submitted): GivenCall {
  const headers = keptHeaders(rawHeaders, stripAuthorization);
  if (!headers) throw new EbbError('BAD_REQUEST', 'the request has more than one "Host" header');
  if (!/^\/[\x21-\x7e]*$/.test(path))
    throw new EbbError('BAD_REQUEST', 'the target of the request has characters that HTTP does not allow');
  const at = segment.search(/[:@]/);
  const name = parseFunctionName(at === -1 ? segment : segment.slice(0, at));
  if (!name) throw new EbbError('FUNCTION_NOT_FOUND', 'there is no function of that name');
  return {
    ...name,
    qualifier: at === -1 ? '' : segment.slice(at),
    method,
    path,
    headers,
    body,
    ...readSubmitHeaders(rawHeaders, Date.now()),
  };
}

function acceptedHeaders({ id, duplicate }: AcceptedCall): string[] {
  const headers = ['X-Call-Id', id, 'Location', `/v1/invocations/${id}`, 'Content-Length', '0'];
  if (duplicate) headers.push(REPLAYED_HEADER, 'true');
  return headers;
}

function readableOf(body: CallBody): Readable {
  if (body.kind === 'stream') return body.open();
  // In one piece, and not byte by byte.
  return Readable.from(body.kind === 'bytes' ? [body.bytes] : []);
}

function lengthOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
