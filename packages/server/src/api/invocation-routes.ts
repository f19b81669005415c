import {
  capturedRequestSchema,
  DEFAULT_NAMESPACE,
  invocationListQuerySchema,
  invocationPageSchema,
  invocationQuerySchema,
  invocationResourceSchema,
  invocationWaitQuerySchema,
  logLineSchema,
  logQuerySchema,
  parseDurationMs,
  replaySchema,
  type Submitted,
  submittedBatchSchema,
  submittedSchema,
} from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import type { AcceptedCall, Captures, Invocations, LogBook, NamespaceRegistry } from '../core/ports.ts';
import { jsonBody, submitBody } from './body.ts';
import { requireNamespace } from './namespace-routes.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of asynchronous calls speak to. */
export interface InvocationRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly invocations: Invocations;
  readonly captures: Captures;
  readonly logs: LogBook;
  /** Largest body of a submit. */
  readonly submitMaxBytes: number;
}

const PATH = '/v1/invocations/{id}';
/** Ids are the server's own; one that nobody can have been given is not looked for. */
const idParams = z.strictObject({ id: z.string().min(1).max(128) });
const NOT_FOUND = ['INVOCATION_NOT_FOUND', 'STORE_FAILED'] as const;
const ACCEPTED = [
  'NAMESPACE_NOT_FOUND',
  'FUNCTION_NOT_FOUND',
  'ALIAS_NOT_FOUND',
  'VERSION_NOT_FOUND',
  'ASYNC_QUEUE_FULL',
  'IDEMPOTENCY_MISMATCH',
  'DESTINATION_REFUSED',
  'STORAGE_FULL',
  'STORE_FAILED',
] as const;

/** Routes of asynchronous calls. */
export function invocationRoutes(options: InvocationRouteOptions): readonly Route[] {
  return [...submitRoutes(options), ...readRoutes(options), ...bodyRoutes(options), ...changeRoutes(options)];
}

function submitRoutes({ namespaces, invocations, submitMaxBytes }: InvocationRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/v1/invocations',
      scope: 'invocations:write',
      operation: 'submitInvocations',
      summary: 'Accepts a call to be made later, or many, each by itself; on disk when this is answered.',
      query: invocationQuerySchema,
      body: submitBody(submitMaxBytes),
      answer: {
        kind: 'json',
        status: 202,
        schema: z.union([submittedSchema, submittedBatchSchema]),
        description: 'The id; of many calls, in their order, the id or what is wrong with the call.',
      },
      errors: ACCEPTED,
      async handle({ query, body }) {
        const namespace = query.namespace ?? DEFAULT_NAMESPACE;
        requireNamespace(namespaces, namespace);
        const outcomes = await invocations.submit(body.calls, namespace);
        if (body.isBatch) return { calls: outcomes.map(showOutcome) };
        const [outcome] = outcomes;
        if (!outcome || outcome instanceof EbbError) throw outcome ?? new Error('nothing became of a call');
        return showAccepted(outcome);
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${PATH}/replay`,
      scope: 'invocations:write',
      operation: 'replayInvocation',
      summary: 'Makes a call anew with its payload, under a new id, whatever became of it.',
      params: idParams,
      query: invocationQuerySchema,
      body: jsonBody(replaySchema, 4096),
      answer: { kind: 'json', status: 202, schema: submittedSchema, description: 'The id of the new call.' },
      errors: [...NOT_FOUND, ...ACCEPTED],
      async handle({ params, query, body }) {
        const { namespace } = query;
        return showAccepted(await invocations.replay(params.id, { namespace, target: body.function }));
      },
    }),
  ];
}

function readRoutes({ namespaces, invocations, logs }: InvocationRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/invocations',
      scope: 'invocations:read',
      operation: 'listInvocations',
      summary: 'The asynchronous calls of a namespace, newest first.',
      query: invocationListQuerySchema,
      answer: { kind: 'json', schema: invocationPageSchema, description: 'The calls, and `next` if there are more.' },
      errors: ['NAMESPACE_NOT_FOUND', 'STORE_FAILED'],
      handle({ query }) {
        const { namespace = DEFAULT_NAMESPACE, state, since, before, ...rest } = query;
        requireNamespace(namespaces, namespace);
        return invocations.list({
          ...rest,
          namespace,
          states: state === undefined ? undefined : [state],
          sinceAt: since === undefined ? undefined : Date.parse(since),
          beforeAt: before === undefined ? undefined : Date.parse(before),
        });
      },
    }),
    defineRoute({
      method: 'GET',
      path: PATH,
      scope: 'invocations:read',
      operation: 'getInvocation',
      summary: 'An asynchronous call as it stands; with `wait`, once it has ended or that time is over.',
      params: idParams,
      query: invocationWaitQuerySchema,
      answer: { kind: 'json', schema: invocationResourceSchema, description: 'The call.' },
      errors: NOT_FOUND,
      handle({ params, query, signal }) {
        const { namespace, wait } = query;
        if (wait === undefined) return invocations.get(params.id, namespace);
        return invocations.wait(params.id, { namespace, limitMs: parseDurationMs(wait) ?? 0, signal });
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/logs`,
      scope: 'invocations:read',
      operation: 'readInvocationLogs',
      summary: 'The lines of the function’s log that were written during the call, oldest first.',
      params: idParams,
      query: logQuerySchema.omit({ callId: true }).extend(invocationQuerySchema.shape),
      answer: { kind: 'lines', schema: logLineSchema, description: 'One line of the log per line of JSON.' },
      errors: NOT_FOUND,
      async handle({ params, query, signal }) {
        const { namespace, ...rest } = query;
        const scope = await invocations.functionOf(params.id, namespace);
        return logs.read(scope, { ...rest, callId: params.id }, signal);
      },
    }),
  ];
}

function bodyRoutes({ invocations, captures }: InvocationRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: `${PATH}/request`,
      scope: 'invocations:read',
      operation: 'getInvocationRequest',
      summary: 'How a call was sent, without credentials: for running it again elsewhere, with its payload.',
      params: idParams,
      query: invocationQuerySchema,
      answer: { kind: 'json', schema: capturedRequestSchema, description: 'Method, path and headers.' },
      errors: NOT_FOUND,
      handle: ({ params, query }) => captures.request(params.id, query.namespace),
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/result`,
      scope: 'invocations:read',
      operation: 'getInvocationResult',
      summary: 'The answer of a call as its function gave it; its status is the header `X-Ebb-Function-Status`.',
      params: idParams,
      query: invocationQuerySchema,
      answer: { kind: 'body', description: 'The body of the answer.' },
      errors: [...NOT_FOUND, 'RESULT_NOT_FOUND'],
      handle: ({ params, query }) => invocations.result(params.id, query.namespace),
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/payload`,
      scope: 'invocations:read',
      operation: 'getInvocationPayload',
      summary: 'What a call was submitted with.',
      params: idParams,
      query: invocationQuerySchema,
      answer: { kind: 'body', description: 'The body of the request.' },
      errors: NOT_FOUND,
      handle: ({ params, query }) => invocations.payload(params.id, query.namespace),
    }),
  ];
}

function changeRoutes({ invocations }: InvocationRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: `${PATH}/cancel`,
      scope: 'invocations:write',
      operation: 'cancelInvocation',
      summary: 'Ends a call: one that is queued at once, one that runs by aborting its request.',
      params: idParams,
      query: invocationQuerySchema,
      answer: { kind: 'json', schema: invocationResourceSchema, description: 'The call as it now stands.' },
      errors: [...NOT_FOUND, 'INVOCATION_ENDED', 'CONFLICT'],
      handle: ({ params, query }) => invocations.cancel(params.id, query.namespace),
    }),
  ];
}

function showAccepted({ id, duplicate }: AcceptedCall): Submitted {
  return duplicate ? { id, duplicate } : { id };
}

function showOutcome(outcome: AcceptedCall | EbbError) {
  if (!(outcome instanceof EbbError)) return showAccepted(outcome);
  return { error: { code: outcome.code, message: outcome.message } };
}
