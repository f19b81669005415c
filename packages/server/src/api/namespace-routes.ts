import { namespaceLimitsSchema, nameSchema, type NamespaceResource, namespaceResourceSchema } from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import type { NamespaceRegistry } from '../core/ports.ts';
import { jsonBody } from './body.ts';
import { defineRoute, type Route } from './route.ts';

/** Path of a route inside a namespace. */
export const namespaceParams = z.strictObject({ namespace: nameSchema });

/** Throws NAMESPACE_NOT_FOUND unless there is such a namespace. */
export function requireNamespace(namespaces: NamespaceRegistry, name: string): NamespaceResource {
  const found = namespaces.get(name);
  if (found) return found;
  throw new EbbError(
    'NAMESPACE_NOT_FOUND',
    `there is no namespace "${name}"; \`ebb namespace list\` shows what there is`,
  );
}

/** What the routes of namespaces speak to. */
export interface NamespaceRoutesOptions {
  readonly namespaces: NamespaceRegistry;
  /** Largest JSON body. */
  readonly bodyMaxBytes: number;
}

/** Routes of namespaces. */
export function namespaceRoutes({ namespaces, bodyMaxBytes }: NamespaceRoutesOptions): readonly Route[] {
  const path = '/v1/namespaces/{namespace}';
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/namespaces',
      scope: 'namespaces:read',
      operation: 'listNamespaces',
      summary: 'Every namespace, by name.',
      answer: { kind: 'json', schema: z.array(namespaceResourceSchema), description: 'The namespaces.' },
      handle: () => namespaces.list().map(show),
    }),
    defineRoute({
      method: 'GET',
      path,
      scope: 'namespaces:read',
      operation: 'getNamespace',
      summary: 'One namespace.',
      params: namespaceParams,
      answer: { kind: 'json', schema: namespaceResourceSchema, description: 'The namespace.' },
      errors: ['NAMESPACE_NOT_FOUND'],
      handle: ({ params }) => show(requireNamespace(namespaces, params.namespace)),
    }),
    defineRoute({
      method: 'PUT',
      path,
      scope: 'namespaces:write',
      operation: 'putNamespace',
      summary: 'Makes a namespace; one that is there already stays as it is.',
      params: namespaceParams,
      answer: { kind: 'json', schema: namespaceResourceSchema, description: 'The namespace.' },
      errors: ['CONFLICT', 'STORE_FAILED'],
      handle: async ({ params }) => show(await namespaces.create(params.namespace)),
    }),
    defineRoute({
      method: 'PUT',
      path: `${path}/limits`,
      scope: 'namespaces:write',
      operation: 'putNamespaceLimits',
      summary: 'Sets what a namespace may use; what is not named is not limited any more.',
      params: namespaceParams,
      body: jsonBody(namespaceLimitsSchema, bodyMaxBytes),
      answer: { kind: 'json', schema: namespaceResourceSchema, description: 'The namespace.' },
      errors: ['NAMESPACE_NOT_FOUND', 'LIMITS_INVALID', 'STORE_FAILED'],
      handle: async ({ params, body }) => show(await namespaces.setLimits(params.namespace, body)),
    }),
    defineRoute({
      method: 'DELETE',
      path,
      scope: 'namespaces:write',
      operation: 'deleteNamespace',
      summary: 'Removes an empty namespace.',
      params: namespaceParams,
      answer: { kind: 'nothing', description: 'The namespace is gone.' },
      errors: ['NAMESPACE_NOT_FOUND', 'NAMESPACE_NOT_EMPTY', 'CONFLICT', 'STORE_FAILED'],
      handle: ({ params }) => namespaces.remove(params.namespace),
    }),
  ];
}

/** The registry's entry carries an id that is nobody's business outside. */
function show({ name, createdAt, limits }: NamespaceResource): NamespaceResource {
  return { name, createdAt, ...(limits === undefined ? {} : { limits }) };
}
