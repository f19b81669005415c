import {
  coldStartSchema,
  deployQuerySchema,
  deployRequestSchema,
  deployResourceSchema,
  functionResourceSchema,
  instanceResourceSchema,
  logLineSchema,
  logQuerySchema,
} from '@ebb/contract';
import { z } from 'zod';
import type { FunctionRegistry, InstanceDirectory, LogBook, NamespaceRegistry, Rollouts } from '../core/ports.ts';
import { jsonBody } from './body.ts';
import { showEnded, showFunction } from './function-resource.ts';
import { FUNCTION_NOT_FOUND, FUNCTION_PATH, functionParams, requireFunction } from './require-function.ts';
import { namespaceParams, requireNamespace } from './namespace-routes.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of functions need. */
export interface FunctionRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly registry: FunctionRegistry;
  readonly rollouts: Pick<Rollouts, 'deploy'>;
  readonly instances: InstanceDirectory;
  readonly logs: LogBook;
  /** Throws DESTINATION_REFUSED for an address that outcomes must not be posted to. */
  readonly checkDestination: (url: string) => void;
  readonly bodyMaxBytes: number;
}

/** Routes of functions and of what runs of one: instances, logs. */
export function functionRoutes(options: FunctionRouteOptions): readonly Route[] {
  return [...specRoutes(options), ...detailRoutes(options)];
}

function specRoutes(options: FunctionRouteOptions): readonly Route[] {
  const { namespaces, registry, rollouts, instances, logs, checkDestination, bodyMaxBytes } = options;
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
      path: FUNCTION_PATH,
      scope: 'functions:read',
      operation: 'getFunction',
      summary: 'One function.',
      params: functionParams,
      answer: { kind: 'json', schema: functionResourceSchema, description: 'The function.' },
      errors: FUNCTION_NOT_FOUND,
      handle: ({ params }) => showFunction(requireFunction(options, params), instances),
    }),
    defineRoute({
      method: 'PUT',
      path: FUNCTION_PATH,
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
        'LIMITS_INVALID',
        'DESTINATION_REFUSED',
      ],
      async handle({ params, query, body }) {
        requireNamespace(namespaces, params.namespace);
        const { spec, code, rollout: rolled } = body;
        for (const { url } of [...(spec.async?.onSuccess ?? []), ...(spec.async?.onFailure ?? [])]) {
          if (url !== undefined) checkDestination(url);
        }
        const input = { ...params, spec, ...(code !== undefined && { code }) };
        const { probe, serve } = query;
        const previous = registry.resolve(params.namespace, params.name);
        const { record, version, change, rollout } = await rollouts.deploy(input, { probe, serve, rollout: rolled });
        const ended = showEnded(previous, record);
        return {
          ...showFunction(record, instances),
          change,
          deployed: version.version,
          ...(ended && { ended }),
          ...(rollout && { rollout }),
        };
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: FUNCTION_PATH,
      scope: 'functions:write',
      operation: 'deleteFunction',
      summary: 'Removes a function with its versions and its log; running calls finish.',
      params: functionParams,
      answer: { kind: 'nothing', description: 'The function is gone.' },
      errors: [...FUNCTION_NOT_FOUND, 'CONFLICT', 'STORE_FAILED'],
      async handle({ params }) {
        requireNamespace(namespaces, params.namespace);
        await registry.remove(params.namespace, params.name);
        await logs.forget(params.namespace, params.name);
      },
    }),
  ];
}

function detailRoutes(options: FunctionRouteOptions): readonly Route[] {
  const { instances, logs } = options;
  return [
    defineRoute({
      method: 'GET',
      path: `${FUNCTION_PATH}/instances`,
      scope: 'functions:read',
      operation: 'listInstances',
      summary: 'The instances of a function, oldest first.',
      params: functionParams,
      answer: { kind: 'json', schema: z.array(instanceResourceSchema), description: 'The instances.' },
      errors: FUNCTION_NOT_FOUND,
      handle({ params }) {
        requireFunction(options, params);
        return instances.list(params.namespace, params.name);
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${FUNCTION_PATH}/cold-starts`,
      scope: 'functions:read',
      operation: 'listColdStarts',
      summary: 'The last starts of a function that calls waited for, newest first; a few, forgotten at a restart.',
      params: functionParams,
      answer: { kind: 'json', schema: z.array(coldStartSchema), description: 'The starts with cause and phases.' },
      errors: FUNCTION_NOT_FOUND,
      handle({ params }) {
        requireFunction(options, params);
        return [...instances.coldStarts(params.namespace, params.name)];
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${FUNCTION_PATH}/logs`,
      scope: 'functions:read',
      operation: 'readLogs',
      summary: 'The log of a function, oldest line first, with `follow` also what comes.',
      params: functionParams,
      query: logQuerySchema,
      answer: { kind: 'lines', schema: logLineSchema, description: 'One line of the log per line of JSON.' },
      errors: FUNCTION_NOT_FOUND,
      handle({ params, query, signal }) {
        requireFunction(options, params);
        return logs.read(params, query, signal);
      },
    }),
  ];
}
