import { aliasResourceSchema, aliasSpecSchema, nameSchema } from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import type { Alias, FunctionRecord, FunctionRegistry, NamespaceRegistry } from '../core/ports.ts';
import { aliasMissing } from '../registry/check-alias.ts';
import { jsonBody } from './body.ts';
import { showAlias } from './function-resource.ts';
import { FUNCTION_NOT_FOUND, FUNCTION_PATH, functionParams, requireFunction } from './require-function.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of aliases need. */
export interface AliasRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly registry: FunctionRegistry;
  readonly bodyMaxBytes: number;
}

const aliasParams = functionParams.extend({ alias: nameSchema });
const PATH = `${FUNCTION_PATH}/aliases/{alias}`;

/** Routes of the aliases of a function; `live` is the one that the bare name means. */
export function aliasRoutes(options: AliasRouteOptions): readonly Route[] {
  const { registry, bodyMaxBytes } = options;
  return [
    defineRoute({
      method: 'GET',
      path: `${FUNCTION_PATH}/aliases`,
      scope: 'functions:read',
      operation: 'listAliases',
      summary: 'The aliases of a function, `live` first.',
      params: functionParams,
      answer: { kind: 'json', schema: z.array(aliasResourceSchema), description: 'The aliases.' },
      errors: FUNCTION_NOT_FOUND,
      handle: ({ params }) => requireFunction(options, params).aliases.map(showAlias),
    }),
    defineRoute({
      method: 'GET',
      path: PATH,
      scope: 'functions:read',
      operation: 'getAlias',
      summary: 'One alias.',
      params: aliasParams,
      answer: { kind: 'json', schema: aliasResourceSchema, description: 'The alias.' },
      errors: [...FUNCTION_NOT_FOUND, 'ALIAS_NOT_FOUND'],
      handle: ({ params }) => showAlias(requireAlias(requireFunction(options, params), params.alias)),
    }),
    defineRoute({
      method: 'PUT',
      path: PATH,
      scope: 'functions:write',
      operation: 'setAlias',
      summary: 'Makes an alias or replaces what it says; in force when it is answered.',
      params: aliasParams,
      body: jsonBody(aliasSpecSchema, bodyMaxBytes),
      answer: { kind: 'json', schema: aliasResourceSchema, description: 'The alias.' },
      errors: [
        ...FUNCTION_NOT_FOUND,
        'VERSION_NOT_FOUND',
        'SECRET_NOT_FOUND',
        'ALIAS_NAME_INVALID',
        'WEIGHTS_INVALID',
        'STORE_FAILED',
      ],
      async handle({ params, body }) {
        requireFunction(options, params);
        const { namespace, name, alias } = params;
        return showAlias(requireAlias(await registry.setAlias(namespace, name, alias, body), alias));
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: PATH,
      scope: 'functions:write',
      operation: 'deleteAlias',
      summary: 'Removes an alias; the versions stay.',
      params: aliasParams,
      answer: { kind: 'nothing', description: 'The alias is gone.' },
      errors: [...FUNCTION_NOT_FOUND, 'ALIAS_NOT_FOUND', 'ALIAS_REQUIRED', 'STORE_FAILED'],
      async handle({ params }) {
        requireFunction(options, params);
        await registry.removeAlias(params.namespace, params.name, params.alias);
      },
    }),
  ];
}

function requireAlias({ name, aliases }: FunctionRecord, alias: string): Alias {
  const found = aliases.find((one) => one.name === alias);
  if (found) return found;
  throw new EbbError('ALIAS_NOT_FOUND', aliasMissing(name, alias));
}
