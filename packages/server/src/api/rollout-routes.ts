import { nameSchema, type RolloutResource, rolloutResourceSchema } from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import type { FunctionRegistry, NamespaceRegistry, Rollouts } from '../core/ports.ts';
import { requireNamespace } from './namespace-routes.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of rollouts need. */
export interface RolloutRouteOptions {
  readonly namespaces: NamespaceRegistry;
  readonly registry: FunctionRegistry;
  readonly rollouts: Rollouts;
}

const functionParams = z.strictObject({ namespace: nameSchema, name: nameSchema });
const PATH = '/v1/namespaces/{namespace}/functions/{name}';
const NOT_FOUND = ['NAMESPACE_NOT_FOUND', 'FUNCTION_NOT_FOUND'] as const;

type Params = z.output<typeof functionParams>;

/** Routes of the rollouts of a function: how they stand, and what a person may do about the one that runs. */
export function rolloutRoutes(options: RolloutRouteOptions): readonly Route[] {
  const { rollouts } = options;
  return [
    defineRoute({
      method: 'GET',
      path: `${PATH}/rollouts`,
      scope: 'functions:read',
      operation: 'listRollouts',
      summary: 'The last rollouts of a function with their timelines, newest first.',
      params: functionParams,
      answer: { kind: 'json', schema: z.array(rolloutResourceSchema), description: 'The rollouts, 20 at most.' },
      errors: [...NOT_FOUND, 'STORE_FAILED'],
      async handle({ params }) {
        requireFunction(options, params);
        return rollouts.list(params.namespace, params.name);
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${PATH}/rollout`,
      scope: 'functions:read',
      operation: 'getRollout',
      summary: 'The rollout of a function that runs, or the last one.',
      params: functionParams,
      answer: { kind: 'json', schema: rolloutResourceSchema, description: 'The rollout.' },
      errors: [...NOT_FOUND, 'ROLLOUT_NOT_FOUND', 'STORE_FAILED'],
      async handle({ params }) {
        requireFunction(options, params);
        const [last] = await rollouts.list(params.namespace, params.name);
        if (last) return last;
        throw new EbbError(
          'ROLLOUT_NOT_FOUND',
          `"${params.name}" has had no rollout; "ebb deploy --rollout canary" makes one`,
        );
      },
    }),
    commandRoute(options, 'pause', 'Keeps the weights as they are; a worse version is taken back all the same.'),
    commandRoute(options, 'resume', 'Lets a paused rollout go on.'),
    commandRoute(
      options,
      'promote',
      'Gives the new version all calls, once the instances for them are ready, after 2 seconds at the latest.',
    ),
    commandRoute(options, 'abort', 'Gives the old version all calls now.'),
  ];
}

function commandRoute(
  options: RolloutRouteOptions,
  command: 'pause' | 'resume' | 'promote' | 'abort',
  summary: string,
): Route {
  return defineRoute({
    method: 'POST',
    path: `${PATH}/rollout/${command}`,
    scope: 'functions:write',
    operation: `${command}Rollout`,
    summary,
    params: functionParams,
    answer: { kind: 'json', schema: rolloutResourceSchema, description: 'The rollout as it now stands.' },
    errors: [...NOT_FOUND, 'ROLLOUT_NOT_RUNNING', 'STORE_FAILED'],
    handle({ params }): Promise<RolloutResource> {
      requireFunction(options, params);
      return options.rollouts[command](params.namespace, params.name);
    },
  });
}

function requireFunction({ namespaces, registry }: RolloutRouteOptions, { namespace, name }: Params): void {
  requireNamespace(namespaces, namespace);
  if (registry.resolve(namespace, name)) return;
  throw new EbbError(
    'FUNCTION_NOT_FOUND',
    `there is no function "${name}" in namespace "${namespace}"; "ebb list" shows what is deployed`,
  );
}
