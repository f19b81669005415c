import { resolve } from 'node:path';
import type { EbbClient } from '@ebb/sdk';
import { carryOut } from '../apply/carry-out.ts';
import { describePlan, planValue } from '../apply/describe-plan.ts';
import { planTargets } from '../apply/make-plan.ts';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';
import type { PlannedChange } from '../apply/plan-changes.ts';
import { createUploadMemory } from '../deploy/deploy-target.ts';
import { targetKey } from '../deploy/target.ts';
import { escapeControls } from '../terminal/escape-controls.ts';
import { gatherSecrets, type NeededSecret, parseSecretFiles, type SecretName } from './bring-secrets.ts';
import { buildImage } from './build-image.ts';
import type { ImportSource } from './deployment.ts';
import { readSource } from './read-source.ts';
import { type Brought, type BroughtFunction, loadMapping, toBrought } from './to-brought.ts';
import { writeManifests } from './write-manifests.ts';

/** What became of an import. */
export interface ImportResult {
  /** Names of functions that did not come over. */
  readonly failed: readonly string[];
}

/** Carries out `ebb import openfaas`. Throws what reading, asking and the server throw; nothing is changed before all is read. */
export async function runImport(context: CommandContext): Promise<ImportResult> {
  const { parameters, output } = context;
  const source = await readSource(context);
  const mapping = await loadMapping();
  const brought = source.functions.map((one) => toBrought(one, mapping));
  sayNotes(context, source, brought);
  const refused = brought.filter((one) => one.kind === 'refused').map(({ ref }) => ref.name);
  const ready = brought.filter((one) => one.kind === 'target');
  if (ready.length === 0)
    throw new CliError('INPUT_INVALID', `${source.from} has no function that can be brought over`);
  const out = parameters.text('out');
  if (out !== undefined) {
    const written = parameters.flag('dryRun') ? [] : await writeManifests(resolve(context.cwd, out), ready);
    const built = await withImages(context, ready);
    const secrets = neededSecrets(source, ready);
    for (const { namespace, name } of secrets.filter(({ isUsed }) => isUsed)) {
      output.note(escapeControls(`set the secret first: ebb secret set ${name} --namespace ${namespace}`));
    }
    output.result({ written, functions: valueOf(brought), secrets, notes: source.notes }, () =>
      written.length === 0
        ? undefined
        : `wrote ${written.join(' and ')} with ${ready.length === 1 ? '1 function' : `${ready.length} functions`}`,
    );
    return { failed: [...refused, ...namesWithout(ready, built)] };
  }
  const { client } = await context.connect();
  const failed = await bring(context, client, source, brought, ready);
  return { failed: [...refused, ...failed] };
}

/** Makes the server have what the source has; returns the names of the functions where that failed. */
async function bring(
  context: CommandContext,
  client: EbbClient,
  source: ImportSource,
  brought: readonly Brought[],
  ready: readonly BroughtFunction[],
): Promise<readonly string[]> {
  const { parameters, output, signal } = context;
  const isDryRun = parameters.flag('dryRun');
  const memory = createUploadMemory();
  const targets = ready.map(({ target }) => target);
  const plan = await planTargets(context, client, targets, { memory, prune: false });
  const files = parseSecretFiles(parameters.list('secret'));
  const needed = await withoutKept(context, client, neededSecrets(source, ready), files);
  let failed: readonly string[] = [];
  if (!output.mode.json) output.result(undefined, () => describePlan(plan, output));
  if (isDryRun) {
    for (const { namespace, name, isUsed } of needed) {
      output.note(
        escapeControls(`secret ${name} of ${namespace} ${isUsed ? 'needs a value' : 'is used by no function'}`),
      );
    }
  } else {
    const { values, skipped } = await gatherSecrets(context, needed, files);
    const built = await withImages(context, ready);
    const namespaces = new Set([...plan.newNamespaces, ...(await newNamespaces(context, client, values))]);
    for (const namespace of namespaces) await client.namespaces.create(namespace, { signal });
    for (const { namespace, name, value } of values) {
      await client.secrets.set(namespace, name, value, { signal });
      output.note(escapeControls(`secret ${name} of ${namespace} set`));
    }
    for (const { namespace, name } of skipped)
      output.note(escapeControls(`secret ${name} of ${namespace} left out: no function uses it`));
    const isBuilt = ({ ref }: PlannedChange): boolean =>
      built.some((one) => targetKey(one.target) === targetKey({ ref }));
    const doable = { ...plan, changes: plan.changes.filter(isBuilt) };
    const deploying = { client, memory, install: false, probe: parameters.flag('probe') };
    failed = [...namesWithout(ready, built), ...(await carryOut(context, doable, deploying))];
  }
  if (output.mode.json) {
    const { newNamespaces, changes } = plan;
    const functions = valueOf(brought);
    output.result(
      {
        applied: !isDryRun,
        newNamespaces,
        changes: planValue(changes),
        failed,
        functions,
        secrets: needed,
        notes: source.notes,
      },
      () => undefined,
    );
  }
  return failed;
}

/** Says function by function what differs, and what came to nothing. */
function sayNotes({ output, parameters }: CommandContext, source: ImportSource, brought: readonly Brought[]): void {
  for (const note of source.notes) output.note(escapeControls(note));
  const builds = parameters.flag('build');
  for (const { ref, notes, ...rest } of brought) {
    const code =
      rest.kind === 'target' && rest.build !== undefined && !builds
        ? [`its image ${rest.image} is made from code (${rest.build.lang}): build it first, or give --build`]
        : [];
    for (const note of [...code, ...notes]) output.note(`${escapeControls(ref.name)}: ${escapeControls(note)}`);
    if (rest.kind === 'refused')
      output.warn(`${escapeControls(ref.name)} cannot be brought over: ${escapeControls(rest.reason)}`);
  }
}

function valueOf(brought: readonly Brought[]) {
  return brought.map((one) => ({
    ...one.ref,
    notes: one.notes,
    ...(one.kind === 'refused' ? { refused: one.reason } : {}),
  }));
}

/** Secrets that functions name and that the source has, each once. */
function neededSecrets(source: ImportSource, ready: readonly BroughtFunction[]): NeededSecret[] {
  const used = ready.flatMap(({ target }) =>
    (target.spec.secrets ?? []).map((name) => ({ namespace: target.ref.namespace, name, isUsed: true })),
  );
  const all = [...used, ...source.secrets.map((secret) => ({ ...secret, isUsed: false }))];
  return [...new Map(all.toReversed().map((one) => [`${one.namespace}/${one.name}`, one])).values()].toReversed();
}

/** Secrets without those that the server has already, unless a value is given for them. */
async function withoutKept(
  { signal }: CommandContext,
  client: EbbClient,
  needed: readonly NeededSecret[],
  files: ReadonlyMap<string, string>,
): Promise<readonly NeededSecret[]> {
  const kept = new Set<string>();
  const known = await client.namespaces.list({ signal });
  for (const { name: namespace } of known.filter(({ name }) => needed.some((one) => one.namespace === name))) {
    for (const { name } of await client.secrets.list(namespace, { signal })) kept.add(`${namespace}/${name}`);
  }
  return needed.filter(({ namespace, name }) => {
    const path = `${namespace}/${name}`;
    return !kept.has(path) || files.has(name) || files.has(path);
  });
}

/** Namespaces of secrets that no function of theirs had made. */
async function newNamespaces(
  { signal }: CommandContext,
  client: EbbClient,
  secrets: readonly SecretName[],
): Promise<readonly string[]> {
  const known = new Set((await client.namespaces.list({ signal })).map(({ name }) => name));
  return secrets.map(({ namespace }) => namespace).filter((namespace) => !known.has(namespace));
}

/** Builds what is built from code, unless nothing is to be done; returns those whose image is there. A failure is told of. */
async function withImages(
  context: CommandContext,
  ready: readonly BroughtFunction[],
): Promise<readonly BroughtFunction[]> {
  const { env, signal, startTask, parameters } = context;
  if (!parameters.flag('build') || parameters.flag('dryRun')) return ready;
  const built: BroughtFunction[] = [];
  for (const one of ready) {
    const { ref, image, build } = one;
    if (build !== undefined) {
      const task = await startTask(`${escapeControls(ref.name)}: building ${image}`);
      try {
        await buildImage({ image, build, env, signal });
        task.done(`${escapeControls(ref.name)}: built ${image}`);
      } catch (error) {
        task.failed();
        if (signal.aborted || !(error instanceof CliError)) throw error;
        context.report(error);
        continue;
      }
    }
    built.push(one);
  }
  return built;
}

function namesWithout(all: readonly BroughtFunction[], done: readonly BroughtFunction[]): readonly string[] {
  return all.filter((one) => !done.includes(one)).map(({ ref }) => ref.name);
}
