import type { FunctionSpec } from '@ebb/contract';
import { EbbError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type {
  AcceptedDeploys,
  FunctionRecord,
  FunctionRegistry,
  InstanceDirectory,
  LogBook,
  NamespaceRegistry,
  SecretRegistry,
  UsageReader,
} from '../../core/ports.ts';
import { z } from 'zod';
import { describeDifferences } from './describe-differences.ts';
import { functionDeploymentSchema } from './function-deployment.ts';
import { answeringWith, type OpenFaasCall, type OpenFaasRoute } from './openfaas-route.ts';
import { type NamedFunction, parseNamespace, parsePathName } from './parse-namespace.ts';
import { readJson } from './read-json.ts';
import { toFunctionSpec } from './to-function-spec.ts';
import { type FunctionStatus, toFunctionStatus } from './to-function-status.ts';

/** What the routes of functions speak to. */
export interface FunctionRoutesOptions {
  readonly namespaces: Pick<NamespaceRegistry, 'get'>;
  readonly registry: Pick<FunctionRegistry, 'resolve' | 'list' | 'setReplicas'>;
  readonly deploys: AcceptedDeploys;
  readonly secrets: Pick<SecretRegistry, 'list'>;
  readonly instances: Pick<InstanceDirectory, 'replicas'>;
  readonly logs: Pick<LogBook, 'forget'>;
  /** Calls of a function that have ended since the server was started. */
  readonly invocationCount: (namespace: string, name: string) => number;
  /** What a function uses now; absent where it cannot be measured. */
  readonly usage?: UsageReader['usage'] | undefined;
  readonly bodyMaxBytes: number;
  readonly logger: Logger;
}

/** Most replicas that can be asked for. */
const MOST_REPLICAS = 1_000;

const deletionSchema = z.object({ functionName: z.string().min(1).max(253), namespace: z.string().optional() });
const scalingSchema = z.object({
  serviceName: z.string().max(253).optional(),
  replicas: z.number().int().min(0).max(MOST_REPLICAS),
  namespace: z.string().optional(),
});

/** What a deploy is refused with although nothing is wrong with the server: clients look at 400 alone. */
const DEPLOY_STATUSES = {
  NAMESPACE_NOT_FOUND: 400,
  SECRET_NOT_FOUND: 400,
  IMAGE_NOT_FOUND: 400,
  IMAGE_REFUSED: 400,
  UNSUPPORTED_BY_ENGINE: 400,
  LIMITS_INVALID: 400,
} as const;

/** Deploying, listing, scaling and removing functions. */
export function functionRoutes(options: FunctionRoutesOptions): readonly OpenFaasRoute[] {
  const { deploys, logs, bodyMaxBytes, invocationCount } = options;

  const deploy = async ({ request, query }: OpenFaasCall, mode: 'create' | 'replace') => {
    const deployment = await readJson(request, functionDeploymentSchema, bodyMaxBytes);
    const namespace = parseNamespace(deployment.namespace, query['namespace']);
    const name = deployment.service;
    // Clients update first and create where that is 404, whatever else may be wrong with what they sent.
    if (mode === 'replace') requireKnown(options, { namespace, name });
    await answeringWith(DEPLOY_STATUSES, async () => {
      const { spec, notes } = toFunctionSpec(
        deployment,
        await newestSecretAt(options, namespace, deployment.secrets ?? []),
      );
      await deploys.accept({ namespace, name, spec }, mode);
      const differences = [...notes, ...describeDifferences(deployment, spec)];
      if (differences.length > 0) {
        options.logger.warn({ namespace, function: name, differences }, 'not all of a deployment holds as written');
      }
      // What goes to zero when idle begins with an instance all the same: clients wait until a new function is ready.
      const isAtZero = spec.scale.min === 0 && deploys.pending(namespace, name) === undefined;
      if (isAtZero) await options.registry.setReplicas(namespace, name, firstReplicasOf(spec));
    });
    return { status: 202 };
  };

  return [
    {
      method: 'GET',
      path: '/system/functions',
      scope: 'functions:read',
      run({ query }) {
        const namespace = parseNamespace(undefined, query['namespace']);
        requireNamespace(options, namespace);
        const names = new Set([
          ...options.registry.list(namespace).map(({ name }) => name),
          ...deploys.list(namespace).map(({ input }) => input.name),
        ]);
        const statuses = [...names].sort().flatMap((name) => {
          const count = invocationCount(namespace, name);
          return describe(options, { namespace, name }, { invocationCount: count }) ?? [];
        });
        return { status: 200, json: statuses };
      },
    },
    { method: 'POST', path: '/system/functions', scope: 'functions:write', run: (call) => deploy(call, 'create') },
    { method: 'PUT', path: '/system/functions', scope: 'functions:write', run: (call) => deploy(call, 'replace') },
    {
      method: 'DELETE',
      path: '/system/functions',
      scope: 'functions:write',
      async run({ request, query }) {
        const body = await readJson(request, deletionSchema, bodyMaxBytes);
        const namespace = parseNamespace(body.namespace, query['namespace']);
        requireKnown(options, { namespace, name: body.functionName });
        await deploys.remove(namespace, body.functionName);
        await logs.forget(namespace, body.functionName);
        return { status: 202 };
      },
    },
    {
      method: 'GET',
      path: '/system/function/{name}',
      scope: 'functions:read',
      async run({ params, query }) {
        const named = parsePathName(params['name'] ?? '', query['namespace']);
        const wantsUsage = query['usage'] === '1' || query['usage'] === 'true';
        const used = wantsUsage ? await options.usage?.(named.namespace, named.name) : undefined;
        const usage = used && { cpu: used.cpuMillicores, totalMemoryBytes: used.memoryBytes };
        const count = invocationCount(named.namespace, named.name);
        const status = describe(options, named, { usage, invocationCount: count });
        return status ? { status: 200, json: status } : { status: 404 };
      },
    },
    {
      method: 'POST',
      path: '/system/scale-function/{name}',
      scope: 'functions:write',
      async run({ params, query, request }) {
        const body = await readJson(request, scalingSchema, bodyMaxBytes);
        const inPath = parsePathName(params['name'] ?? '', query['namespace']);
        const named = { name: inPath.name, namespace: parseNamespace(body.namespace, inPath.namespace) };
        if (body.serviceName && parsePathName(body.serviceName, undefined).name !== named.name) {
          throw new EbbError(
            'INVALID_REQUEST',
            `"serviceName" is "${body.serviceName}" but the path names "${named.name}"`,
          );
        }
        requireKnown(options, named);
        await options.registry.setReplicas(named.namespace, named.name, body.replicas);
        return { status: 202 };
      },
    },
  ];
}

/** The status of a function, as it was last deployed even if that does not serve yet. */
function describe(
  { registry, deploys, instances }: FunctionRoutesOptions,
  { namespace, name }: NamedFunction,
  more: Partial<Pick<FunctionStatus, 'invocationCount' | 'usage'>>,
): FunctionStatus | undefined {
  const record = registry.resolve(namespace, name);
  const pending = deploys.pending(namespace, name);
  const input = pending?.input ?? (record && { spec: record.live.spec, code: record.live.code });
  if (!input) return undefined;
  return toFunctionStatus({
    namespace,
    name,
    spec: input.spec,
    code: input.code,
    createdAt: record?.createdAt ?? pending?.acceptedAt ?? 0,
    ...replicasOf(instances, record, pending ? firstReplicasOf(pending.input.spec) : 0),
    ...more,
  });
}

/** How many instances a function begins with: also one that goes to zero when it is idle has its own at first. */
function firstReplicasOf({ scale }: FunctionSpec): number {
  return Math.max(1, scale.min, scale.minActive ?? 0);
}

/** How many instances there are meant to be and are. A deploy that does not serve yet is meant to have its own minimum. */
function replicasOf(
  instances: FunctionRoutesOptions['instances'],
  record: FunctionRecord | undefined,
  coming: number,
): Pick<FunctionStatus, 'replicas' | 'availableReplicas'> {
  if (!record) return { replicas: coming, availableReplicas: 0 };
  let [wanted, ready] = [0, 0];
  for (const version of record.versions) {
    const own = instances.replicas(version);
    wanted += own.wanted;
    ready += own.ready;
  }
  // A number that somebody asked for meanwhile is what they read back.
  return { replicas: record.replicas ? wanted : Math.max(wanted, coming), availableReplicas: ready };
}

function requireNamespace({ namespaces }: Pick<FunctionRoutesOptions, 'namespaces'>, namespace: string): void {
  if (namespaces.get(namespace)) return;
  throw new EbbError('INVALID_REQUEST', `there is no namespace "${namespace}"`);
}

function requireKnown({ registry, deploys }: FunctionRoutesOptions, { namespace, name }: NamedFunction): void {
  if (registry.resolve(namespace, name) ?? deploys.pending(namespace, name)) return;
  throw new EbbError('FUNCTION_NOT_FOUND', `there is no function "${name}" in namespace "${namespace}"`);
}

/** When the newest of some secrets was set; undefined where none of them is there, which the deploy says. */
async function newestSecretAt(
  { secrets, namespaces }: FunctionRoutesOptions,
  namespace: string,
  names: readonly string[],
): Promise<string | undefined> {
  if (names.length === 0 || !namespaces.get(namespace)) return undefined;
  const stored = await secrets.list(namespace);
  return stored
    .filter(({ name }) => names.includes(name))
    .map(({ updatedAt }) => updatedAt)
    .sort()
    .at(-1);
}
