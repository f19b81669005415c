import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { asEbbError, EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import type { PlainRequest } from '../core/http1/request-head.ts';
import type { Authenticator } from '../core/ports.ts';
import { Exchange } from './exchange.ts';
import type { GatewayContext } from './gateway-context.ts';
import { CallIds } from './call-ids.ts';
import { Decimals } from './decimals.ts';
import { Pieces } from './pieces.ts';
import { PLATFORM_AUTHORIZATION_HEADER } from './headers.ts';
import { NodeCaller } from './node-caller.ts';
import { addressedBy } from './addressed-by.ts';
import type { Choice } from './fork.ts';
import { createMirrors } from './mirrors.ts';
import { isOpenFaasMethod, OPENFAAS_METHODS } from './openfaas-calls.ts';
import { type FunctionPath, mountOf, splitFunctionPath, splitHost } from './path.ts';
import type { PlainCaller } from './plain-caller.ts';
import type { Route } from './route.ts';
import type { Found, RouteTable } from './route-table.ts';
import { Timeouts } from './timeouts.ts';
import { sendError, sendErrorOnSocket } from './send-error.ts';
import { tunnel } from './upgrade.ts';

/** What a {@link Gateway} is made with. */
export interface GatewayOptions extends Pick<GatewayContext, 'pools' | 'record' | 'logger'> {
  readonly routes: RouteTable;
  readonly authenticator: Authenticator;
  /** Hosts below it name functions. */
  readonly domain?: string | undefined;
}

/**
 * The data plane. A request goes through: path → route → authentication if the function asks for it → slot →
 * proxy; ARCHITECTURE.md walks through it. Everything before the slot is synchronous and in memory.
 */
export class Gateway implements GatewayContext {
  readonly pools: GatewayContext['pools'];
  readonly pieces = new Pieces();
  readonly callIds = new CallIds();
  readonly timeouts = new Timeouts();
  readonly startTimes = new Decimals();
  readonly deadlines = new Decimals();
  readonly record: GatewayContext['record'];
  readonly logger: GatewayContext['logger'];
  readonly #routes: RouteTable;
  readonly #authenticator: Authenticator;
  readonly #hosts: { readonly domain: string; readonly isFunction: (segment: string) => boolean } | undefined;
  readonly mirrors: GatewayContext['mirrors'];
  #running = 0;
  #outside = 0;
  #draining = false;
  #passOn: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  #drained: (() => void) | undefined;

  constructor(options: GatewayOptions) {
    this.pools = options.pools;
    this.record = options.record;
    this.logger = options.logger;
    this.#routes = options.routes;
    this.#authenticator = options.authenticator;
    const { domain, routes } = options;
    this.#hosts = domain === undefined ? undefined : { domain, isFunction: (segment) => routes.has(segment) };
    this.mirrors = createMirrors(this);
  }

  /** Calls that came from outside until now. */
  get outside(): number {
    return this.#outside;
  }

  /** Calls that run or wait now. */
  get running(): number {
    return this.#running;
  }

  /** Whether new calls are refused, or left to another server. */
  get isDraining(): boolean {
    return this.#draining;
  }

  /** Whether a `Host` names a function, so that every path on it is that function's. */
  isForHost(host: string): boolean {
    return this.#hosts !== undefined && splitHost(host, '/', this.#hosts) !== undefined;
  }

  opened(by: 'outside' | 'platform' = 'outside'): void {
    this.#running += 1;
    if (by === 'outside') this.#outside += 1;
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
   * Serves a plain request of the express lane; returns false for what needs more: authentication, a refusal, a
   * version that is to be looked up, or another part of the server.
   */
  handlePlain(caller: PlainCaller, request: PlainRequest): boolean {
    const path = this.#split(request.host, request.target);
    if (!path || this.#draining) return false;
    const found = this.#routes.find(request.isAddressed ? addressedBy(path.segment, request.headers) : path.segment);
    if (found.kind === 'route') {
      if (found.authRequired) return false;
      caller.begins(request);
      new Exchange(this, caller, found, path.rest).start();
      return true;
    }
    // Where credentials may be wanted, no turn is taken yet: the request comes again.
    if (found.kind !== 'fork' || found.authRequired) return false;
    caller.begins(request);
    const choice = found.choose(caller, mountOf(path));
    new Exchange(this, caller, choice.route, path.rest, choice).start();
    return true;
  }

  /** Answers a request for a function, by its path or host; returns false, untouched, for any other. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const path = this.#split(request.headers.host ?? '', request.url ?? '');
    if (!path) return false;
    const found = this.#draining ? undefined : this.#routes.find(addressedBy(path.segment, request.rawHeaders));
    const isPlain = found?.kind === 'route' && !found.authRequired && isAsked(found, request);
    if (!isPlain) void this.#handleLater(found, path, request, response);
    else new Exchange(this, new NodeCaller(request, response, found), found, path.rest).start();
    return true;
  }

  /** Answers a request to upgrade the connection; only WebSockets to functions are carried. */
  async handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const path = this.#split(request.headers.host ?? '', request.url ?? '');
    try {
      if (!path || this.#draining) throw this.#refusal(path);
      const found = this.#routes.find(addressedBy(path.segment, request.rawHeaders));
      const choice = await this.#allowed(found, path, request);
      // Whoever left meanwhile is not heard of again.
      if (!socket.destroyed) await tunnel(this, { request, socket, head }, choice, path.rest);
    } catch (error) {
      const callId = newCallId();
      sendErrorOnSocket(socket, this.expected(error, callId), callId);
    }
  }

  /**
   * Leaves new calls to the front door from now on, which has another server take them; `passOn` has it take one that
   * was here but needs what that server has by now.
   */
  handOn(passOn: (request: IncomingMessage, response: ServerResponse) => void): void {
    this.#draining = true;
    this.#passOn = passOn;
  }

  /** Why no new call may begin here; undefined while it may. */
  get refusal(): EbbError | undefined {
    return this.#draining ? this.#refusal(undefined) : undefined;
  }

  /** Takes new calls again. */
  resume(): void {
    this.#draining = false;
    this.#passOn = undefined;
  }

  /** Refuses new calls with DRAINING and resolves when those that run have ended (G4), or after `limitMs`, if given. */
  async drain(limitMs?: number): Promise<void> {
    this.#draining = true;
    if (this.#running > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#drained = resolve;
      const timer = limitMs === undefined ? undefined : setTimeout(resolve, limitMs);
      await promise;
      clearTimeout(timer);
    }
    this.mirrors.close();
  }

  #split(host: string, target: string): FunctionPath | undefined {
    const byHost = this.#hosts === undefined ? undefined : splitHost(host, target, this.#hosts);
    return byHost ?? splitFunctionPath(target);
  }

  async #handleLater(
    found: Found | undefined,
    path: FunctionPath,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    try {
      const choice = await this.#allowed(found, path, request);
      // Whoever left meanwhile is not heard of again.
      if (response.destroyed) return;
      const { route } = choice;
      new Exchange(this, new NodeCaller(request, response, route), route, path.rest, choice).start();
    } catch (error) {
      // A version that was to be looked up in a store that is another server's by now.
      if (this.#passOn && asEbbError(error).code === 'DRAINING') {
        this.#passOn(request, response);
        return;
      }
      const callId = newCallId();
      const failure = this.expected(error, callId);
      if (failure.code === 'METHOD_NOT_ALLOWED') response.setHeader('Allow', OPENFAAS_METHODS);
      sendError(response, failure, callId);
    }
  }

  /**
   * Where a request goes: takes a turn where there are turns, looks up a version that is not known, and checks
   * credentials where they are wanted. Throws what the caller is to be told.
   */
  async #allowed(found: Found | undefined, path: FunctionPath, request: IncomingMessage): Promise<Choice> {
    if (!found || path.segment === '') throw this.#refusal(path);
    if (found.kind === 'missing') throw new EbbError(found.code, found.message);
    if (found.kind === 'unlisted') {
      // Who may not call the function learns nothing of its versions.
      if (found.authRequired) await this.#check(request);
      const route = await this.#routes.lookUp(found);
      if (route.authRequired && !found.authRequired) await this.#check(request);
      return { route };
    }
    const facts = { rawHeaders: request.rawHeaders, remoteAddress: request.socket.remoteAddress ?? '' };
    const choice = found.kind === 'fork' ? found.choose(facts, mountOf(path)) : { route: found };
    if (choice.route.authRequired) await this.#check(request);
    if (!isAsked(choice.route, request)) {
      throw new EbbError(
        'METHOD_NOT_ALLOWED',
        `${request.method} is not possible on functions, only ${OPENFAAS_METHODS}`,
      );
    }
    return choice;
  }

  #check(request: IncomingMessage): Promise<void> {
    return checkCredentials(this.#authenticator, request);
  }

  #refusal(path: FunctionPath | undefined): EbbError {
    if (this.#draining)
      return new EbbError('DRAINING', 'the server is shutting down and takes no new calls', { retryAfterSeconds: 1 });
    if (path?.byHost === true)
      return new EbbError(
        'BAD_PATH',
        `the host must be NAME.${this.#hosts?.domain} or NAME.NAMESPACE.${this.#hosts?.domain}`,
      );
    return new EbbError('BAD_PATH', 'the path must be /function/NAME or /function/NAME.NAMESPACE');
  }
}

/** Whether a function may be asked with the request's method: any, but for those of the compatible API. */
function isAsked(route: Route, { method = '' }: IncomingMessage): boolean {
  return !route.isOpenFaas || isOpenFaasMethod(method);
}

/** Checks the credentials of a request to a function. Rejects with UNAUTHENTICATED or TOO_MANY_ATTEMPTS. */
export async function checkCredentials(authenticator: Authenticator, request: IncomingMessage): Promise<void> {
  const own = request.headers[PLATFORM_AUTHORIZATION_HEADER];
  const credentials = typeof own === 'string' ? own : request.headers.authorization;
  await authenticator.authenticate(credentials, request.socket.remoteAddress ?? '');
}
