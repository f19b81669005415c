import {
  leasedItemSchema,
  leaseMs,
  leaseRequestSchema,
  nameSchema,
  queueResourceSchema,
  receiptsSchema,
  settledSchema,
} from '@ebb/contract';
import { z } from 'zod';
import type { NamespaceRegistry, OutcomeQueues } from '../core/ports.ts';
import { jsonBody } from './body.ts';
import { namespaceParams, requireNamespace } from './namespace-routes.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of queues speak to. */
export interface QueueRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly queues: OutcomeQueues;
  /** Largest JSON body. */
  readonly bodyMaxBytes: number;
}

const queueParams = z.strictObject({ namespace: nameSchema, name: nameSchema });

/** Routes of the queues that outcomes are sent to and that are read over the API. */
export function queueRoutes({ namespaces, queues, bodyMaxBytes }: QueueRouteOptions): readonly Route[] {
  const path = '/v1/namespaces/{namespace}/queues';
  const errors = ['NAMESPACE_NOT_FOUND', 'STORE_FAILED'] as const;
  return [
    defineRoute({
      method: 'GET',
      path,
      scope: 'invocations:read',
      operation: 'listQueues',
      summary: 'The queues of a namespace that hold something, by name.',
      params: namespaceParams,
      answer: { kind: 'json', schema: z.array(queueResourceSchema), description: 'The queues.' },
      errors,
      handle({ params }) {
        requireNamespace(namespaces, params.namespace);
        return queues.list(params.namespace);
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/{name}/lease`,
      scope: 'invocations:write',
      operation: 'leaseFromQueue',
      summary: 'Takes items from a queue, oldest first; those not acknowledged in time come again.',
      params: queueParams,
      body: jsonBody(leaseRequestSchema, bodyMaxBytes),
      answer: { kind: 'json', schema: z.array(leasedItemSchema), description: 'The items; none when it is empty.' },
      errors,
      handle({ params, body }) {
        requireNamespace(namespaces, params.namespace);
        return queues.lease(params.namespace, params.name, { max: body.max, forMs: leaseMs(body) });
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/{name}/ack`,
      scope: 'invocations:write',
      operation: 'ackInQueue',
      summary: 'Says that items are done with, by their newest receipts.',
      params: queueParams,
      body: jsonBody(receiptsSchema, bodyMaxBytes),
      answer: { kind: 'json', schema: settledSchema, description: 'How many receipts counted.' },
      errors,
      handle({ params, body }) {
        requireNamespace(namespaces, params.namespace);
        return queues.ack(params.namespace, params.name, body.receipts);
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/{name}/release`,
      scope: 'invocations:write',
      operation: 'releaseInQueue',
      summary: 'Gives items back, to be taken again at once.',
      params: queueParams,
      body: jsonBody(receiptsSchema, bodyMaxBytes),
      answer: { kind: 'json', schema: settledSchema, description: 'How many receipts counted.' },
      errors,
      handle({ params, body }) {
        requireNamespace(namespaces, params.namespace);
        return queues.release(params.namespace, params.name, body.receipts);
      },
    }),
  ];
}
