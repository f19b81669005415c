import {
  coldStartSchema,
  deployQuerySchema,
  deployRequestSchema,
  deployResourceSchema,
  functionResourceSchema,
  instanceResourceSchema,
  logLineSchema,
  logQuerySchema,
  nameSchema,
  versionResourceSchema,
} from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import type {
  FunctionRecord,
  FunctionRegistry,
  InstanceDirectory,
  LogBook,
  NamespaceRegistry,
  Rollouts,
} from '../core/ports.ts';
import { jsonBody } from './body.ts';
import { showFunction, showVersion } from './function-resource.ts';
import { namespaceParams, requireNamespace } from './namespace-routes.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of functions need. */
export interface FunctionRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly registry: FunctionRegistry;
  readonly rollouts: Pick<Rollouts, 'deploy'>;
  readonly instances: InstanceDirectory;
  readonly logs: LogBook;
  readonly bodyMaxBytes: number;
}

const functionParams = z.strictObject({ namespace: nameSchema, name: nameSchema });
const PATH = '/v1/namespaces/{namespace}/functions/{name}';
const NOT_FOUND = ['NAMESPACE_NOT_FOUND', 'FUNCTION_NOT_FOUND'] as const;

/** Routes of functions and of what belongs to one: versions, instances, logs. */
export function functionRoutes(options: FunctionRouteOptions): readonly Route[] {
  return [...specRoutes(options), ...detailRoutes(options)];
}

function specRoutes(options: FunctionRouteOptions): readonly Route[] {
  const { namespaces, registry, rollouts, instances, logs, bodyMaxBytes } = options;
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/namespaces/{namespace}/functions',
      scope: 'functions:read',
      operation: 'listFunctions',
      summary: 'The functions of a namespace, by name.',
      params: namespaceParams,
      answer: { kind: 'json', schema: z.array(functionResourceSchema), description: 'The functions.' },
      errors: ['NAMESPACE_NOT_FOUND'],
      handle({ params }) {
        requireNamespace(namespaces, params.namespace);
        return registry.list(params.namespace).map((record) => showFunction(record, instances));
      },
    }),
    defineRoute({
      method: 'GET',
      path: PATH,
      scope: 'functions:read',
      operation: 'getFunction',
      summary: 'One function.',
      params: functionParams,
      answer: { kind: 'json', schema: functionResourceSchema, description: 'The function.' },
      errors: NOT_FOUND,
      handle: ({ params }) => showFunction(requireFunction(options, params), instances),
    }),
    defineRoute({
      method: 'PUT',
      path: PATH,
      scope: 'functions:write',
      operation: 'deployFunction',
      summary:
        'Deploys: makes a version, waits until its first instance is ready, then lets it serve. A deploy goes on when its client goes away: sent again, it finds what it asked for, or repeats what failed.',
      params: functionParams,
      query: deployQuerySchema,
      body: jsonBody(deployRequestSchema, bodyMaxBytes),
      answer: { kind: 'json', schema: deployResourceSchema, description: 'The function as it now serves.' },
      errors: [
        'NAMESPACE_NOT_FOUND',
        'SECRET_NOT_FOUND',
        'CODE_NOT_FOUND',
        'DEPLOY_FAILED',
        'UNSUPPORTED_BY_ENGINE',
        'IMAGE_NOT_FOUND',
        'IMAGE_REFUSED',
        'CONFLICT',
        'ROLLOUT_RUNNING',
        'LIVE_IS_SPLIT',
        'ENGINE_UNAVAILABLE',
        'ENGINE_TIMEOUT',
        'ENGINE_FAILED',
        'STORE_FAILED',
      ],
      async handle({ params, query, body }) {
        requireNamespace(namespaces, params.namespace);
        const { spec, code, rollout: rolled } = body;
        const input = { ...params, spec, ...(code !== undefined && { code }) };
        const { record, change, rollout } = await rollouts.deploy(input, { probe: query.probe, rollout: rolled });
        return { ...showFunction(record, instances), change, ...(rollout && { rollout }) };
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: PATH,
      scope: 'functions:write',
      operation: 'deleteFunction',
      summary: 'Removes a function with its versions and its log; running calls finish.',
      params: functionParams,
      answer: { kind: 'nothing', description: 'The function is gone.' },
      errors: [...NOT_FOUND, 'CONFLICT', 'STORE_FAILED'],
      async handle({ params }) {
        requireNamespace(namespaces, params.namespace);
        await registry.remove(params.namespace, params.name);
        await logs.forget(params.namespace, params.name);
      },
    }),
  ];
}

function detailRoutes(options: FunctionRouteOptions): readonly Route[] {
  const { registry, instances, logs } = options;
  return [
    defineRoute({
      method: 'GET',
      path: `${PATH}/versions`,
      scope: 'functions:read',
      operation: 'listVersions',
      summary: 'The versions of a function, newest first.',
      params: functionParams,
      answer: { kind: 'json', schema: z.array(versionResourceSchema), description: 'The versions.' },
      errors: [...NOT_FOUND, 'STORE_FAILED'],
      async handle({ params }) {
        const { live } = requireFunction(options, params);
        const versions = await registry.versions(params.namespace, params.name);
        return versions.map((version) => showVersion(version, live.version));
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/instances`,
      scope: 'functions:read',
      operation: 'listInstances',
      summary: 'The instances of a function, oldest first.',
      params: functionParams,
      answer: { kind: 'json', schema: z.array(instanceResourceSchema), description: 'The instances.' },
      errors: NOT_FOUND,
      handle({ params }) {
        requireFunction(options, params);
        return instances.list(params.namespace, params.name);
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/cold-starts`,
      scope: 'functions:read',
      operation: 'listColdStarts',
      summary: 'The last starts of a function that calls waited for, newest first; a few, forgotten at a restart.',
      params: functionParams,
      answer: { kind: 'json', schema: z.array(coldStartSchema), description: 'The starts with cause and phases.' },
      errors: NOT_FOUND,
      handle({ params }) {
        requireFunction(options, params);
        return [...instances.coldStarts(params.namespace, params.name)];
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/logs`,
      scope: 'functions:read',
      operation: 'readLogs',
      summary: 'The log of a function, oldest line first, with `follow` also what comes.',
      params: functionParams,
      query: logQuerySchema,
      answer: { kind: 'lines', schema: logLineSchema, description: 'One line of the log per line of JSON.' },
      errors: NOT_FOUND,
      handle({ params, query, signal }) {
        requireFunction(options, params);
        return logs.read(params, query, signal);
      },
    }),
  ];
}

function requireFunction(
  { namespaces, registry }: FunctionRouteOptions,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): FunctionRecord {
  requireNamespace(namespaces, namespace);
  const record = registry.resolve(namespace, name);
  if (record) return record;
  throw new EbbError(
    'FUNCTION_NOT_FOUND',
    `there is no function "${name}" in namespace "${namespace}"; \`ebb list\` shows what is deployed`,
  );
}
