import { type FunctionResource, functionSpecSchema, LIVE_ALIAS } from '@ebb/contract';
import { resolve } from 'node:path';
import { type EbbClient, EbbApiError } from '@ebb/sdk';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';
import { presentKey, readCode, type UploadMemory } from '../deploy/deploy-target.ts';
import { needsInstall } from '../deploy/install-dependencies.ts';
import { findManifest, loadTargets } from '../deploy/load-targets.ts';
import type { Target } from '../deploy/target.ts';
import { type Desired, type PlannedChange, planChanges } from './plan-changes.ts';

/** What a file comes to on a server. */
export interface Plan {
  /** Namespaces that have to be made first. */
  readonly newNamespaces: readonly string[];
  readonly changes: readonly PlannedChange[];
  readonly targets: readonly Target[];
}

/**
 * Compares a file with what is deployed and changes nothing. Code is compared by its digest, as it lies there: with
 * dependencies missing it may differ from what a deploy would install. Throws MANIFEST_INVALID, FILE_FAILED, USAGE,
 * INPUT_INVALID, and what the client throws.
 */
export async function makePlan(
  context: CommandContext,
  client: EbbClient,
  options: { readonly memory: UploadMemory; readonly prune: boolean },
): Promise<Plan> {
  return planTargets(context, client, await readTargets(context), options);
}

/** Compares functions with what is deployed, as {@link makePlan} does with those of a file. */
export async function planTargets(
  context: CommandContext,
  client: EbbClient,
  targets: readonly Target[],
  options: { readonly memory: UploadMemory; readonly prune: boolean },
): Promise<Plan> {
  const { memory, prune } = options;
  const namespaces = [...new Set(targets.map(({ ref }) => ref.namespace))];
  const newNamespaces: string[] = [];
  const deployed: FunctionResource[] = [];
  for (const namespace of namespaces) {
    const functions = await listOrNothing(context, client, namespace);
    if (functions) deployed.push(...(await Promise.all(functions.map((one) => withRollout(context, client, one)))));
    else newNamespaces.push(namespace);
  }
  for (const { namespace, code } of deployed) if (code !== undefined) memory.present.add(presentKey(namespace, code));
  const desired: Desired[] = [];
  for (const { ref, spec, codeDir } of targets) {
    const parsed = functionSpecSchema.parse(spec);
    if (codeDir === undefined) desired.push({ ref, spec: parsed });
    else {
      if (await needsInstall(codeDir)) {
        context.output.note(
          `${ref.name}: its dependencies are not installed, so its code differs from what is deployed`,
        );
      }
      desired.push({ ref, spec: parsed, code: (await readCode(codeDir, memory)).digest });
    }
  }
  return { newNamespaces, changes: planChanges(desired, deployed, { prune }), targets };
}

async function readTargets({ parameters, cwd, env }: CommandContext): Promise<readonly Target[]> {
  const file = parameters.text('file');
  const path = file === undefined ? findManifest(cwd) : resolve(cwd, file);
  if (path === undefined) {
    throw new CliError('USAGE', `there is no ebb.yaml in ${cwd}; name a file with -f, or start with "ebb new hello"`);
  }
  return loadTargets(path, { cwd, env, namespace: parameters.text('namespace') });
}

/** A function as it will be when the rollout of it that runs is over; deploying the same again changes nothing. */
async function withRollout(
  { signal }: CommandContext,
  client: EbbClient,
  resource: FunctionResource,
): Promise<FunctionResource> {
  const live = resource.aliases.find(({ name }) => name === LIVE_ALIAS);
  if (Object.keys(live?.versions ?? {}).length < 2) return resource;
  try {
    const { state, to } = await client.rollouts.get(resource, { signal });
    if (state !== 'running' && state !== 'paused') return resource;
    const { spec, code } = await client.versions.get(resource, to, { signal });
    const { code: _old, ...rest } = resource;
    return { ...rest, spec, ...(code === undefined ? {} : { code }) };
  } catch (error) {
    // Split by hand, or changed since it was listed.
    if (error instanceof EbbApiError && error.status === 404) return resource;
    throw error;
  }
}

/** Functions of a namespace, or undefined when there is no such namespace. */
async function listOrNothing(
  { signal }: CommandContext,
  client: EbbClient,
  namespace: string,
): Promise<readonly FunctionResource[] | undefined> {
  try {
    return await client.functions.list(namespace, { signal });
  } catch (error) {
    if (error instanceof EbbApiError && error.code === 'NAMESPACE_NOT_FOUND') return undefined;
    throw error;
  }
}
