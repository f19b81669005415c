import { basename, resolve } from 'node:path';
import type { FunctionSpecInput, RolloutStrategy } from '@ebb/contract';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';
import { checkName, namespaceOf } from '../core/function-ref.ts';
import { parsePairs } from '../core/parameters.ts';
import { findManifest, isDirectory, loadTargets } from './load-targets.ts';
import type { Target } from './target.ts';

/**
 * Finds out which functions a deploy is about: those of `ebb.yaml` here, in the directories or by the names given, or
 * one that the options describe. Throws USAGE, MANIFEST_INVALID, FILE_FAILED.
 */
export async function selectTargets(context: CommandContext): Promise<readonly Target[]> {
  const targets = await findTargets(context);
  const strategy = context.parameters.text('rollout');
  if (strategy !== undefined && !context.parameters.flag('serve')) {
    throw new CliError(
      'USAGE',
      'a version of --no-serve gets no calls, so there is nothing for --rollout to do; leave one out',
    );
  }
  if (strategy === undefined) return targets;
  // The server says which strategies there are; steps and rules of the file are for the strategy of the file.
  const isSame = (target: Target) => target.rollout?.strategy === strategy;
  const rollout = { strategy: strategy as RolloutStrategy };
  return targets.map((target) => (isSame(target) ? target : { ...target, rollout }));
}

async function findTargets(context: CommandContext): Promise<readonly Target[]> {
  const { parameters, cwd, env } = context;
  const words = parameters.list('what');
  const flags = specFromFlags(context);
  const image = parameters.text('image');
  const name = parameters.text('name');
  if (image !== undefined) {
    if (words.length > 0) throw new CliError('USAGE', 'an --image needs no directory; give --name and --image');
    return [await single(context, parameters.required('name'), flags)];
  }
  const namespace = parameters.text('namespace');
  const load = (path: string) => loadTargets(path, { cwd, env, namespace });
  const file = parameters.text('file');
  const here = file === undefined ? findManifest(cwd) : resolve(cwd, file);
  const listed = here === undefined ? [] : await load(here);
  if (words.length === 0 && here !== undefined) return withFlags(narrow(listed, name), flags);
  const targets: Target[] = [];
  for (const word of words.length === 0 ? ['.'] : words) {
    const byName = listed.find((target) => target.ref.name === word);
    const directory = resolve(cwd, word);
    if (byName) targets.push(byName);
    else if (isDirectory(directory)) targets.push(...(await fromDirectory(context, directory, flags, load)));
    else throw new CliError('USAGE', unknownWord(word, listed, here));
  }
  return withFlags(narrow(targets, name), flags);
}

async function fromDirectory(
  context: CommandContext,
  directory: string,
  flags: FunctionSpecInput,
  load: (path: string) => Promise<readonly Target[]>,
): Promise<readonly Target[]> {
  const manifest = findManifest(directory);
  if (manifest !== undefined) return load(manifest);
  const name = context.parameters.text('name');
  if (name === undefined) {
    throw new CliError(
      'USAGE',
      `there is no ebb.yaml in ${directory}; name the function with --name, or start with "ebb new ${nameFrom(directory)}"`,
    );
  }
  const target = await single(context, name, { runtime: 'node', ...flags });
  return [{ ...target, codeDir: directory }];
}

async function single(context: CommandContext, name: string, spec: FunctionSpecInput): Promise<Target> {
  return { ref: { namespace: await namespaceOf(context), name: await checkName(name, '--name') }, spec };
}

/** With --name, the one function of that name; a manifest with several functions is not renamed by a flag. */
function narrow(targets: readonly Target[], name: string | undefined): readonly Target[] {
  if (name === undefined) return targets;
  const found = targets.filter((target) => target.ref.name === name);
  if (found.length > 0) return found;
  throw new CliError('USAGE', `"--name" is "${name}" but must be one of ${names(targets)}`);
}

function withFlags(targets: readonly Target[], flags: FunctionSpecInput): readonly Target[] {
  if (Object.keys(flags).length === 0) return targets;
  const [target] = targets;
  if (!target || targets.length > 1) {
    throw new CliError('USAGE', `options such as --env change one function only; choose one of ${names(targets)}`);
  }
  const spec = { ...target.spec, ...flags, ...(flags.env ? { env: { ...target.spec.env, ...flags.env } } : {}) };
  return [{ ...target, spec }];
}

/** The part of a spec the options say. Numbers go as numbers, so that the server checks their ranges. */
function specFromFlags({ parameters }: CommandContext): FunctionSpecInput {
  const env = parameters.list('env');
  const secrets = parameters.list('secret');
  const port = parameters.count('port', 1);
  const concurrency = parameters.count('concurrency', 1);
  const spec: Record<string, unknown> = {
    ...(env.length > 0 ? { env: parsePairs(env, '--env') } : {}),
    ...(secrets.length > 0 ? { secrets } : {}),
    ...(port === undefined ? {} : { port }),
    ...(concurrency === undefined ? {} : { concurrency }),
  };
  for (const field of ['runtime', 'image', 'handler', 'memory', 'cpu', 'timeout']) {
    const value = parameters.text(field);
    if (value !== undefined) spec[field] = value;
  }
  return spec;
}

function unknownWord(word: string, listed: readonly Target[], manifest: string | undefined): string {
  if (manifest === undefined) return `"${word}" is no directory, and there is no ebb.yaml here that could name it`;
  return `"${word}" is neither a directory nor a function of ${basename(manifest)}, which has ${names(listed)}`;
}

function names(targets: readonly Target[]): string {
  return targets.map((target) => `"${target.ref.name}"`).join(', ') || 'none';
}

function nameFrom(directory: string): string {
  return (
    basename(directory)
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '') || 'hello'
  );
}
