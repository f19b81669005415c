import type { IncomingMessage, ServerResponse } from 'node:http';
import { CALL_ID_HEADER, ERROR_COMPONENT_HEADER, ERRORS } from '@ebb/contract';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { asEbbError, EbbError, errorBody } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import type { Logger } from '../core/logger.ts';
import type { AnsweredRequest, Authenticator, KeptBody } from '../core/ports.ts';
import { type ApiRoutesOptions, apiRoutes } from './api-routes.ts';
import { isAllowed } from './authorize.ts';
import { answeredRequest } from './answered-request.ts';
import { discardRest } from '../core/http1/discard-rest.ts';
import type { Route } from './route.ts';
import { sendBody } from './send-body.ts';
import { streamBytes } from './stream-bytes.ts';
import { streamLines } from './stream-lines.ts';

/** What the control API is made of. */
export interface ApiOptions extends ApiRoutesOptions {
  readonly authenticator: Authenticator;
  readonly logger: Logger;
  /** Told of every request that was answered; must not throw. */
  readonly onAnswered?: ((request: AnsweredRequest) => void) | undefined;
}

/** The control API without a socket of its own. */
export interface Api extends AsyncDisposable {
  /** Answers a request under `/v1`. For a `node:http` server that also serves other things. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Every operation it serves. */
  readonly routes: readonly Route[];
}

/**
 * Makes the control API. Every route is authorised before anything of its request is read (T1); every error is JSON
 * from the catalog with the call's id, and of a defect the caller learns nothing but that id. Disposing it ends
 * followed logs and waits for running requests.
 */
export async function createApi(options: ApiOptions): Promise<Api> {
  const { logger } = options;
  const routes = apiRoutes(options);
  const closing = new AbortController();
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    genReqId: newCallId,
    routerOptions: { maxParamLength: 4096 },
    // Only requests whose path cannot be decoded come here.
    frameworkErrors: (_error, request, reply) => {
      void sendError(request, reply, new EbbError('INVALID_REQUEST', 'the path has a "%" that encodes nothing'));
    },
  });

  async function sendError(request: FastifyRequest, reply: FastifyReply, thrown: unknown): Promise<void> {
    const error = asEbbError(thrown);
    const isGone = request.raw.socket.destroyed;
    const details = { callId: request.id, method: request.method, path: pathOf(request), code: error.code };
    if (ERRORS[error.code].fault === 'platform' && !isGone) {
      logger.error({ ...details, err: error.cause ?? error }, 'a control request failed');
    } else {
      logger.debug({ ...details, message: error.message }, 'a control request was refused');
    }
    discardRest(request.raw);
    reply.code(error.status).header(CALL_ID_HEADER, request.id).header(ERROR_COMPONENT_HEADER, error.component);
    if (error.code === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer realm="ebb"');
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds));
    await reply.send(errorBody(error, request.id));
  }

  // Bodies are read by the routes themselves, each under its own limit, after the caller was authorised.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined));
  app.setErrorHandler(async (error, request, reply) => sendError(request, reply, refusalOf(error)));
  app.setNotFoundHandler(async (request, reply) => {
    const allowed = methodsAt(routes, pathOf(request));
    if (allowed.length > 0) reply.header('allow', allowed.join(', '));
    await sendError(request, reply, unknownRoute(request, allowed));
  });
  app.addHook('onRequest', async (_request, reply) => {
    reply.header(CALL_ID_HEADER, reply.request.id).header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async (request, reply) => {
    const level = request.method === 'GET' ? 'debug' : 'info';
    const details = { callId: request.id, method: request.method, path: pathOf(request), status: reply.statusCode };
    logger[level]({ ...details, durationMs: Math.round(reply.elapsedTime) }, 'control request');
    options.onAnswered?.(answeredRequest(request, reply));
  });
  for (const route of routes) mount(app, route, options, closing.signal);
  await app.ready();

  return {
    handle: (request, response) => app.routing(request, response),
    routes,
    async [Symbol.asyncDispose]() {
      closing.abort();
      await app.close();
    },
  };
}

function mount(app: FastifyInstance, route: Route, { authenticator, logger }: ApiOptions, closing: AbortSignal): void {
  app.route({
    method: route.method,
    url: route.path.replace(/\{(\w+)\}/g, ':$1'),
    async onRequest(request) {
      if (route.scope === 'open') return;
      const { authorization } = request.headers;
      const identity = await authenticator.authenticate(authorization, request.raw.socket.remoteAddress ?? '');
      // What a caller may not do does not exist for it.
      if (!isAllowed(identity, route.scope)) throw unknownRoute(request, []);
    },
    async handler(request, reply) {
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const signal = AbortSignal.any([gone.signal, closing]);
      const { params, query, raw } = request;
      const value = await route.run({ params, query, request: raw, signal });
      const status = route.statusOf?.(value) ?? 200;
      if (route.answer.kind === 'nothing') return reply.code(204).send();
      if (route.answer.kind === 'json') return reply.code(route.answer.status ?? status).send(value);
      reply.hijack();
      if (route.answer.kind === 'body') {
        await sendBody(reply.raw, value as KeptBody, request.id);
        return undefined;
      }
      const isBytes = route.answer.kind === 'bytes';
      reply.raw.writeHead(status, {
        [CALL_ID_HEADER]: request.id,
        'cache-control': 'no-store',
        'content-type': isBytes ? 'application/octet-stream' : 'application/x-ndjson',
      });
      if (isBytes) {
        await streamBytes(reply.raw, value as AsyncIterable<Uint8Array>, signal).catch((error: unknown) => {
          logger.error({ callId: request.id, path: pathOf(request), err: error }, 'a stream of bytes broke off');
        });
        // What was sent and not read is taken off the connection.
        discardRest(raw);
        return undefined;
      }
      await streamLines(reply.raw, value as AsyncIterable<unknown>, signal).catch((error: unknown) => {
        logger.error({ callId: request.id, path: pathOf(request), err: error }, 'a stream of lines broke off');
      });
    },
  });
}

/** Fastify's own refusals, such as of a malformed Content-Type, in the catalog's terms. */
function refusalOf(error: unknown): unknown {
  if (error instanceof EbbError || !(error instanceof Error)) return error;
  const isFastifys = 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_ERR_');
  const status = 'statusCode' in error ? Number(error.statusCode) : 500;
  if (!isFastifys || status >= 500) return error;
  return new EbbError(status === 415 ? 'UNSUPPORTED_MEDIA_TYPE' : 'INVALID_REQUEST', error.message, { cause: error });
}

function unknownRoute(request: FastifyRequest, allowed: readonly string[]): EbbError {
  const path = pathOf(request).slice(0, 200);
  if (allowed.length > 0) {
    const message = `${request.method} is not possible on ${path}, only ${allowed.join(', ')}`;
    return new EbbError('METHOD_NOT_ALLOWED', message);
  }
  return new EbbError('NOT_FOUND', `nothing answers at ${path}; /v1/openapi.json lists what there is`);
}

function methodsAt(routes: readonly Route[], path: string): string[] {
  const matching = routes.filter((route) => new RegExp(`^${route.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(path));
  return matching.map((route) => route.method);
}

/** The path alone: a query may carry what does not belong into a log. */
function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}
