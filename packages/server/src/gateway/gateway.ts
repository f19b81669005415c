import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { asEbbError, EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import type { PlainRequest } from '../core/http1/request-head.ts';
import type { Authenticator } from '../core/ports.ts';
import { Exchange } from './exchange.ts';
import type { GatewayContext } from './gateway-context.ts';
import { Pieces } from './pieces.ts';
import { PLATFORM_AUTHORIZATION_HEADER } from './headers.ts';
import { NodeCaller } from './node-caller.ts';
import { type FunctionPath, splitFunctionPath } from './path.ts';
import type { PlainCaller } from './plain-caller.ts';
import type { Route, RouteTable } from './route-table.ts';
import { sendError, sendErrorOnSocket } from './send-error.ts';
import { tunnel } from './upgrade.ts';

/** What a {@link Gateway} is made with. */
export interface GatewayOptions extends Pick<GatewayContext, 'pools' | 'record' | 'logger'> {
  readonly routes: RouteTable;
  readonly authenticator: Authenticator;
}

/**
 * The data plane. A request goes through: path → route → authentication if the function asks for it → slot →
 * proxy; ARCHITECTURE.md walks through it. Everything before the slot is synchronous and in memory.
 */
export class Gateway implements GatewayContext {
  readonly pools: GatewayContext['pools'];
  readonly pieces = new Pieces();
  readonly record: GatewayContext['record'];
  readonly logger: GatewayContext['logger'];
  readonly #routes: RouteTable;
  readonly #authenticator: Authenticator;
  #running = 0;
  #draining = false;
  #drained: (() => void) | undefined;

  constructor(options: GatewayOptions) {
    this.pools = options.pools;
    this.record = options.record;
    this.logger = options.logger;
    this.#routes = options.routes;
    this.#authenticator = options.authenticator;
  }

  /** Calls that run or wait now. */
  get running(): number {
    return this.#running;
  }

  opened(): void {
    this.#running += 1;
  }

  closed(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#drained?.();
  }

  expected(error: unknown, callId: string): EbbError {
    const failure = asEbbError(error);
    if (failure.code === 'INTERNAL') this.logger.error({ err: failure.cause, callId }, 'a call met a defect');
    return failure;
  }

  /**
   * Serves a plain request of the express lane; returns false for what needs more: authentication, a refusal, or
   * another part of the server.
   */
  handlePlain(caller: PlainCaller, request: PlainRequest): boolean {
    const path = splitFunctionPath(request.target);
    const route = path && this.#routes.find(path.segment);
    if (!path || !route || route.authRequired || this.#draining) return false;
    caller.begins(request);
    new Exchange(this, caller, route, path.rest).start();
    return true;
  }

  /** Answers a request under `/function/`; returns false, untouched, for any other. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const path = splitFunctionPath(request.url ?? '');
    if (!path) return false;
    const route = this.#routes.find(path.segment);
    if (!route || this.#draining) sendError(response, this.#refusal(path), newCallId());
    else if (route.authRequired) void this.#authenticated(request, response, route, path.rest);
    else new Exchange(this, new NodeCaller(request, response, route), route, path.rest).start();
    return true;
  }

  /** Answers a request to upgrade the connection; only WebSockets under `/function/` are carried. */
  async handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const path = splitFunctionPath(request.url ?? '');
    const route = path && this.#routes.find(path.segment);
    try {
      if (!path || !route || this.#draining) throw this.#refusal(path);
      if (route.authRequired) await this.#check(request);
      // Whoever left meanwhile is not heard of again.
      if (socket.destroyed) return;
      await tunnel(this, { request, socket, head }, route, path.rest);
    } catch (error) {
      const callId = newCallId();
      sendErrorOnSocket(socket, this.expected(error, callId), callId);
    }
  }

  /** Leaves new calls to the front door from now on, which has another server take them. */
  handOn(): void {
    this.#draining = true;
  }

  /** Takes new calls again. */
  resume(): void {
    this.#draining = false;
  }

  /** Refuses new calls with DRAINING and resolves when those that run have ended, or after `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true;
    if (this.#running === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    const timer = setTimeout(resolve, limitMs);
    await promise;
    clearTimeout(timer);
  }

  async #authenticated(request: IncomingMessage, response: ServerResponse, route: Route, path: string): Promise<void> {
    try {
      await this.#check(request);
    } catch (error) {
      const callId = newCallId();
      sendError(response, this.expected(error, callId), callId);
      return;
    }
    // Whoever left meanwhile is not heard of again.
    if (!response.destroyed) new Exchange(this, new NodeCaller(request, response, route), route, path).start();
  }

  async #check(request: IncomingMessage): Promise<void> {
    const own = request.headers[PLATFORM_AUTHORIZATION_HEADER];
    const credentials = typeof own === 'string' ? own : request.headers.authorization;
    await this.#authenticator.authenticate(credentials, request.socket.remoteAddress ?? '');
  }

  #refusal(path: FunctionPath | undefined): EbbError {
    if (this.#draining)
      return new EbbError('DRAINING', 'the server is shutting down and takes no new calls', { retryAfterSeconds: 1 });
    if (!path || path.segment === '')
      return new EbbError('BAD_PATH', 'the path must be /function/NAME or /function/NAME.NAMESPACE');
    const shown = path.segment.length > 100 ? `${path.segment.slice(0, 97)}...` : path.segment;
    return new EbbError('FUNCTION_NOT_FOUND', `there is no function "${shown}"; "ebb list" shows what is deployed`);
  }
}
