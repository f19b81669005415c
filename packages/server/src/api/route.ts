import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import type { Scope } from './authorize.ts';
import { type Body, hasBody } from './body.ts';
import { validate } from './validate.ts';

/** What a route answers when all goes well. */
export type Answer =
  | { readonly kind: 'json'; readonly schema: z.ZodType; readonly description: string; readonly status?: 202 }
  /** A body as it was kept, with what is known of it as headers; the value is a `KeptBody`. */
  | { readonly kind: 'body'; readonly description: string }
  /** One JSON value a line, sent as they come, until the client goes away or there are no more. */
  | { readonly kind: 'lines'; readonly schema: z.ZodType; readonly description: string }
  /** Bytes, sent as they come. */
  | { readonly kind: 'bytes'; readonly description: string }
  | { readonly kind: 'nothing'; readonly description: string };

/** One operation of the control API, as a route file writes it. */
export interface RouteDefinition<P, Q, B> {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Path in OpenAPI's form: `/v1/namespaces/{namespace}`. */
  readonly path: string;
  /** What the caller must be allowed; `open` needs no credentials (T1). */
  readonly scope: Scope | 'open';
  /** Stable name in the OpenAPI document. */
  readonly operation: string;
  readonly summary: string;
  readonly params?: z.ZodType<P>;
  readonly query?: z.ZodType<Q>;
  readonly body?: Body<B>;
  readonly answer: Answer;
  /** Errors of this route besides those of its scope and its inputs. */
  readonly errors?: readonly ErrorCode[];
  /** HTTP status by value, for a route whose status is not always 200. */
  readonly statusOf?: (value: unknown) => number;
  /** Does the work and returns the value of {@link answer}. */
  readonly handle: (input: RouteInput<P, Q, B>) => unknown;
}

/** A request after all checks. */
export interface RouteInput<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly request: IncomingMessage;
  /** Aborts when the client goes away or the API closes. */
  readonly signal: AbortSignal;
}

/** A request before the checks of its inputs. */
export interface RawInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly request: IncomingMessage;
  readonly signal: AbortSignal;
}

/** One operation of the control API, as it is mounted and documented. */
export interface Route extends Omit<RouteDefinition<never, never, never>, 'params' | 'query' | 'body' | 'handle'> {
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: Pick<Body<unknown>, 'content'>;
  /** Checks the inputs, then does the work. */
  readonly run: (input: RawInput) => Promise<unknown>;
}

const NO_QUERY = z.strictObject({});

/** Turns what a route file writes into a route that checks path, query and body before it does anything. */
export function defineRoute<P = undefined, Q = undefined, B = undefined>(definition: RouteDefinition<P, Q, B>): Route {
  const { handle, ...described } = definition;
  const { params, query, body } = definition;
  return {
    ...described,
    async run(raw) {
      // A part that is not declared is typed undefined, which is what it gets.
      const checked = {
        params: (params ? validate(params, raw.params, 'the path') : undefined) as P,
        query: (query ? validate(query, raw.query, 'the query') : refuseQuery(raw.query)) as Q,
        body: (body
          ? await body.read(raw.request, mediaType(raw.request, body))
          : await refuseBody(raw.request, query)) as B,
      };
      return handle({ ...checked, request: raw.request, signal: raw.signal });
    },
  };
}

function refuseQuery(query: unknown): undefined {
  validate(NO_QUERY, query, 'the query');
  return undefined;
}

/** What a caller says and nobody reads would be taken for done. */
async function refuseBody(request: IncomingMessage, query: z.ZodType | undefined): Promise<undefined> {
  if (!(await hasBody(request))) return undefined;
  const instead = query instanceof z.ZodObject ? `; put ${wordsOf(Object.keys(query.shape))} into the query` : '';
  throw new EbbError('INVALID_REQUEST', `the request has a body, but this route takes none${instead}`);
}

function wordsOf(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(', ');
}

function mediaType(request: IncomingMessage, body: Pick<Body<unknown>, 'content'>): string {
  const given = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const types = Object.keys(body.content);
  if (types.includes(given)) return given;
  const allowed = types.length === 1 ? types.join('') : `${types.slice(0, -1).join(', ')} or ${types.at(-1) ?? ''}`;
  throw new EbbError(
    'UNSUPPORTED_MEDIA_TYPE',
    given === ''
      ? `the header Content-Type is missing but must be ${allowed}`
      : `the header Content-Type is ${JSON.stringify(given.slice(0, 80))} but must be ${allowed}`,
  );
}
