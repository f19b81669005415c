import { nameSchema, secretNameSchema, secretResourceSchema } from '@ebb/contract';
import { z } from 'zod';
import type { NamespaceRegistry, SecretRegistry } from '../core/ports.ts';
import { secretBody } from './body.ts';
import { namespaceParams, requireNamespace } from './namespace-routes.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of secrets need; no route can read a value (T2). */
export interface SecretRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly secrets: Omit<SecretRegistry, 'reveal'>;
  readonly secretMaxBytes: number;
}

const secretParams = z.strictObject({ namespace: nameSchema, name: secretNameSchema });

/** Routes of secrets. */
export function secretRoutes({ namespaces, secrets, secretMaxBytes }: SecretRouteOptions): readonly Route[] {
  const path = '/v1/namespaces/{namespace}/secrets/{name}';
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/namespaces/{namespace}/secrets',
      scope: 'secrets:read',
      operation: 'listSecrets',
      summary: 'Names of the secrets of a namespace; values are never shown.',
      params: namespaceParams,
      answer: { kind: 'json', schema: z.array(secretResourceSchema), description: 'The secrets, by name.' },
      errors: ['NAMESPACE_NOT_FOUND', 'STORE_FAILED'],
      async handle({ params }) {
        requireNamespace(namespaces, params.namespace);
        return secrets.list(params.namespace);
      },
    }),
    defineRoute({
      method: 'PUT',
      path,
      scope: 'secrets:write',
      operation: 'putSecret',
      summary: 'Sets a secret. Instances started from now on get the new value.',
      params: secretParams,
      body: secretBody(secretMaxBytes),
      answer: { kind: 'json', schema: secretResourceSchema, description: 'The secret without its value.' },
      errors: ['NAMESPACE_NOT_FOUND', 'CONFLICT', 'STORE_FAILED'],
      async handle({ params, body }) {
        requireNamespace(namespaces, params.namespace);
        return secrets.set(params.namespace, params.name, body);
      },
    }),
    defineRoute({
      method: 'DELETE',
      path,
      scope: 'secrets:write',
      operation: 'deleteSecret',
      summary: 'Removes a secret that no deployed function uses.',
      params: secretParams,
      answer: { kind: 'nothing', description: 'The secret is gone.' },
      errors: ['NAMESPACE_NOT_FOUND', 'SECRET_NOT_FOUND', 'SECRET_IN_USE', 'STORE_FAILED'],
      async handle({ params }) {
        requireNamespace(namespaces, params.namespace);
        await secrets.remove(params.namespace, params.name);
      },
    }),
  ];
}
