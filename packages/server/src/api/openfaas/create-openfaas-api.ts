import type { IncomingMessage, ServerResponse } from 'node:http';
import { CALL_ID_HEADER, ERRORS } from '@ebb/contract';
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify';
import { asEbbError, EbbError } from '../../core/errors.ts';
import { discardRest } from '../../core/http1/discard-rest.ts';
import { newCallId } from '../../core/ids.ts';
import type { Logger } from '../../core/logger.ts';
import type { AnsweredRequest, Authenticator } from '../../core/ports.ts';
import { answeredRequest } from '../answered-request.ts';
import { isAllowed, type Scope } from '../authorize.ts';
import { streamLines } from '../stream-lines.ts';
import { AnsweredError, type OpenFaasAnswer, type OpenFaasRoute } from './openfaas-route.ts';
import { type OpenFaasRoutesOptions, openFaasRoutes } from './openfaas-routes.ts';

/** What the compatible surface is made of. */
export type OpenFaasApiOptions = OpenFaasRoutesOptions & {
  readonly authenticator: Authenticator;
  /** Whether credentials are asked for at all; without, none that are sent are looked at. */
  readonly isProtected: boolean;
  readonly logger: Logger;
  /** Told of every request that was answered; must not throw. */
  readonly onAnswered?: ((request: AnsweredRequest) => void) | undefined;
};

/** The compatible surface without a socket of its own. */
export interface OpenFaasApi extends AsyncDisposable {
  /** Whether a request's target is of this surface, whatever its method. */
  owns(target: string): boolean;
  /** Answers a request that is of this surface. */
  handle(request: IncomingMessage, response: ServerResponse): void;
}

/** Where the surface answers besides its routes: below these everything is its own, and not found where no route is. */
const PREFIXES = ['/system/', '/ui/'];

/**
 * Makes the API compatible with OpenFaaS: the same functions, namespaces and secrets as under `/v1`, as existing clients
 * speak of them. Errors are one sentence of plain text, since such clients print them. Everything but what is open asks
 * for credentials before anything of a request is read (T1). Disposing it ends streams and waits for running requests.
 */
export async function createOpenFaasApi(options: OpenFaasApiOptions): Promise<OpenFaasApi> {
  const { authenticator, isProtected, logger } = options;
  const routes = openFaasRoutes(options);
  const patterns = routes.map((route) => ({
    method: route.method,
    pattern: new RegExp(`^${route.path.replace(/\{\w+\}/g, '[^/]+')}/?$`),
  }));
  const closing = new AbortController();
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    genReqId: newCallId,
    routerOptions: { maxParamLength: 4096, ignoreTrailingSlash: true },
    frameworkErrors: (_error, request, reply) => {
      void sendError(request, reply, new EbbError('INVALID_REQUEST', 'the path has a "%" that encodes nothing'));
    },
  });

  const authenticate = async (request: FastifyRequest, scope?: Scope): Promise<void> => {
    if (!isProtected) return;
    const { authorization } = request.headers;
    const identity = await authenticator.authenticate(authorization, request.raw.socket.remoteAddress ?? '');
    // What a caller may not do does not exist for it.
    if (scope !== undefined && !isAllowed(identity, scope)) throw unknownRoute(request, []);
  };

  async function sendError(request: FastifyRequest, reply: FastifyReply, thrown: unknown): Promise<void> {
    const error = asEbbError(thrown);
    const details = { callId: request.id, method: request.method, path: pathOf(request.url), code: error.code };
    if (ERRORS[error.code].fault === 'platform' && !request.raw.socket.destroyed) {
      logger.error({ ...details, err: error.cause ?? error }, 'a control request failed');
    } else {
      logger.debug({ ...details, message: error.message }, 'a control request was refused');
    }
    discardRest(request.raw);
    const isLogin = error.code === 'UNAUTHENTICATED';
    reply.code(error instanceof AnsweredError ? error.answeredStatus : error.status);
    reply.header('content-type', 'text/plain; charset=utf-8');
    if (isLogin) reply.header('www-authenticate', 'Basic realm="Restricted"');
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds));
    await reply.send(isLogin ? 'invalid credentials' : `${error.message}\n`);
  }

  // Bodies are read by the routes themselves, whatever type they claim, after the caller was authenticated.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined));
  app.setErrorHandler(async (error, request, reply) => sendError(request, reply, refusalOf(error)));
  app.setNotFoundHandler(async (request, reply) => {
    const path = pathOf(request.url);
    if (PREFIXES.some((prefix) => path.startsWith(prefix))) await authenticate(request);
    const allowed = methodsAt(path);
    if (allowed.length > 0) reply.header('allow', allowed.join(', '));
    await sendError(request, reply, unknownRoute(request, allowed));
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.header(CALL_ID_HEADER, request.id).header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async (request, reply) => {
    const level = request.method === 'GET' || request.method === 'HEAD' ? 'debug' : 'info';
    const details = { callId: request.id, method: request.method, path: pathOf(request.url) };
    logger[level](
      { ...details, status: reply.statusCode, durationMs: Math.round(reply.elapsedTime) },
      'control request',
    );
    options.onAnswered?.(answeredRequest(request, reply));
  });

  const mount = (route: OpenFaasRoute): void => {
    app.route({
      method: route.method,
      url: route.path.replace(/\{(\w+)\}/g, ':$1'),
      async onRequest(request) {
        if (route.scope !== 'open') await authenticate(request, route.scope);
      },
      async handler(request, reply) {
        const gone = new AbortController();
        reply.raw.once('close', () => gone.abort());
        const signal = AbortSignal.any([gone.signal, closing.signal]);
        const params = request.params as Readonly<Record<string, string>>;
        const answer = await route.run({ params, query: lastOf(request.url), request: request.raw, signal });
        // What was sent and not read is taken off the connection.
        discardRest(request.raw);
        await send(request, reply, answer, signal);
      },
    });
  };

  const send = async (request: FastifyRequest, reply: FastifyReply, answer: OpenFaasAnswer, signal: AbortSignal) => {
    const { status, headers = {}, text, json, lines } = answer;
    if (lines) {
      reply.hijack();
      reply.raw.writeHead(status, {
        [CALL_ID_HEADER]: request.id,
        'cache-control': 'no-store',
        'content-type': 'application/x-ndjson',
        ...headers,
      });
      await streamLines(reply.raw, lines, signal).catch((error: unknown) => {
        logger.error({ callId: request.id, path: pathOf(request.url), err: error }, 'a stream broke off');
      });
      return;
    }
    reply.code(status).headers(headers);
    if (json !== undefined) {
      await reply.header('content-type', 'application/json').send(JSON.stringify(json));
      return;
    }
    if (text !== undefined && headers['content-type'] === undefined) {
      reply.header('content-type', 'text/plain; charset=utf-8');
    }
    await reply.send(text);
  };

  const methodsAt = (path: string): string[] =>
    patterns.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);

  for (const route of routes) mount(route);
  await app.ready();

  return {
    owns(target) {
      const path = pathOf(target);
      return PREFIXES.some((prefix) => path.startsWith(prefix)) || methodsAt(path).length > 0;
    },
    handle(request, response) {
      // Bodies are read as what a route expects: even a type that is none must not have one refused.
      delete request.headers['content-type'];
      app.routing(request, response);
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await app.close();
    },
  };
}

/** The query of a target; of a repeated name the last value. */
function lastOf(target: string): Readonly<Record<string, string>> {
  const start = target.indexOf('?');
  return start === -1 ? {} : Object.fromEntries(new URLSearchParams(target.slice(start + 1)));
}

function unknownRoute(request: FastifyRequest, allowed: readonly string[]): EbbError {
  const path = pathOf(request.url).slice(0, 200);
  if (allowed.length > 0) {
    return new EbbError(
      'METHOD_NOT_ALLOWED',
      `${request.method} is not possible on ${path}, only ${allowed.join(', ')}`,
    );
  }
  return new EbbError('NOT_FOUND', `nothing answers at ${path}`);
}

/** Fastify's own refusals, such as of a malformed Content-Type, in the catalog's terms. */
function refusalOf(error: unknown): unknown {
  if (error instanceof EbbError || !(error instanceof Error)) return error;
  const isFastifys = 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_ERR_');
  const status = 'statusCode' in error ? Number(error.statusCode) : 500;
  return isFastifys && status < 500 ? new EbbError('INVALID_REQUEST', error.message, { cause: error }) : error;
}

function pathOf(target: string): string {
  return target.split('?', 1)[0] ?? '';
}
