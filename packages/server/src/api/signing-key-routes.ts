import { signingKeyResourceSchema } from '@ebb/contract';
import type { NamespaceRegistry, SigningKeys } from '../core/ports.ts';
import { namespaceParams, requireNamespace } from './namespace-routes.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of signing keys speak to. */
export interface SigningKeyRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly signingKeys: SigningKeys;
}

/** Routes of the keys that namespaces sign their posts with: the one kind of secret that is shown, since receivers need it. */
export function signingKeyRoutes({ namespaces, signingKeys }: SigningKeyRouteOptions): readonly Route[] {
  const path = '/v1/namespaces/{namespace}/signing-key';
  const answer = { kind: 'json', schema: signingKeyResourceSchema, description: 'The key.' } as const;
  const errors = ['NAMESPACE_NOT_FOUND', 'STORE_FAILED'] as const;
  return [
    defineRoute({
      method: 'GET',
      path,
      scope: 'secrets:write',
      operation: 'getSigningKey',
      summary: 'The key that outcomes posted to addresses are signed with, made at its first use.',
      params: namespaceParams,
      answer,
      errors,
      handle({ params }) {
        requireNamespace(namespaces, params.namespace);
        return signingKeys.get(params.namespace);
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/rotate`,
      scope: 'secrets:write',
      operation: 'rotateSigningKey',
      summary: 'Makes a new key; for a day everything is signed with the old one as well.',
      params: namespaceParams,
      answer,
      errors,
      handle({ params }) {
        requireNamespace(namespaces, params.namespace);
        return signingKeys.rotate(params.namespace);
      },
    }),
  ];
}
