import {
  DEFAULT_NAMESPACE,
  type DeadLetterSelection,
  deadLetterQuerySchema,
  deadLetterSelectionSchema,
  invocationPageSchema,
  invocationQuerySchema,
  invocationResourceSchema,
  purgedSchema,
  redriveSelectionSchema,
  redrivenSchema,
} from '@ebb/contract';
import { z } from 'zod';
import type { DeadLetterChoice, DeadLetters, NamespaceRegistry } from '../core/ports.ts';
import { jsonBody } from './body.ts';
import { requireNamespace } from './namespace-routes.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of dead letters speak to. */
export interface DeadLetterRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly deadLetters: DeadLetters;
  /** Largest JSON body. */
  readonly bodyMaxBytes: number;
}

const PATH = '/v1/dead-letters';
const CHANGES = ['NAMESPACE_NOT_FOUND', 'STORAGE_FULL', 'STORE_FAILED'] as const;

/** Routes of dead letters. */
export function deadLetterRoutes({ namespaces, deadLetters, bodyMaxBytes }: DeadLetterRouteOptions): readonly Route[] {
  const choiceOf = (selection: DeadLetterSelection): DeadLetterChoice => {
    const { ids, namespace, function: name, reason, since, before, cursor } = selection;
    if (namespace !== undefined) requireNamespace(namespaces, namespace);
    if (ids !== undefined) return { kind: 'ids', ids, namespace };
    const filter = {
      namespace: namespace ?? DEFAULT_NAMESPACE,
      function: name,
      reason,
      sinceAt: momentOf(since),
      beforeAt: momentOf(before),
      cursor,
    };
    return { kind: 'filter', filter };
  };
  return [
    defineRoute({
      method: 'GET',
      path: PATH,
      scope: 'invocations:read',
      operation: 'listDeadLetters',
      summary: 'The asynchronous calls of a namespace that were given up, newest first.',
      query: deadLetterQuerySchema,
      answer: { kind: 'json', schema: invocationPageSchema, description: 'The calls, and `next` if there are more.' },
      errors: ['NAMESPACE_NOT_FOUND', 'STORE_FAILED'],
      handle({ query }) {
        const { namespace = DEFAULT_NAMESPACE, since, before, ...rest } = query;
        requireNamespace(namespaces, namespace);
        return deadLetters.list({ ...rest, namespace, sinceAt: momentOf(since), beforeAt: momentOf(before) });
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/{id}`,
      scope: 'invocations:read',
      operation: 'getDeadLetter',
      summary: 'A call that was given up, with every attempt.',
      params: z.strictObject({ id: z.string().min(1).max(128) }),
      query: invocationQuerySchema,
      answer: { kind: 'json', schema: invocationResourceSchema, description: 'The call.' },
      errors: ['INVOCATION_NOT_FOUND', 'INVOCATION_NOT_DEAD', 'STORE_FAILED'],
      handle: ({ params, query }) => deadLetters.get(params.id, query.namespace),
    }),
    defineRoute({
      method: 'POST',
      path: `${PATH}/redrive`,
      scope: 'invocations:write',
      operation: 'redriveDeadLetters',
      summary:
        'Queues dead letters anew, for their own function or with `to` for another, at most 1000 at a time; done again, it goes on where it stopped.',
      body: jsonBody(redriveSelectionSchema, bodyMaxBytes),
      answer: { kind: 'json', schema: redrivenSchema, description: 'How many, and `next` if there may be more.' },
      errors: [...CHANGES, 'FUNCTION_NOT_FOUND', 'ALIAS_NOT_FOUND', 'VERSION_NOT_FOUND', 'ASYNC_QUEUE_FULL'],
      handle: ({ body }) => deadLetters.redrive(choiceOf(body), body.to),
    }),
    defineRoute({
      method: 'POST',
      path: `${PATH}/purge`,
      scope: 'invocations:write',
      operation: 'purgeDeadLetters',
      summary: 'Removes dead letters for good, at most 1000 at a time.',
      body: jsonBody(deadLetterSelectionSchema, bodyMaxBytes),
      answer: { kind: 'json', schema: purgedSchema, description: 'How many, and `next` if there may be more.' },
      errors: CHANGES,
      handle: ({ body }) => deadLetters.purge(choiceOf(body)),
    }),
  ];
}

function momentOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text);
}
