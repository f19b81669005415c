import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { DEFAULT_NAMESPACE, type JobSpecInput, NAME_PATTERN } from '@ebb/contract';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';
import { checkName, namespaceOf } from '../core/function-ref.ts';
import { findManifest, isDirectory, loadTargets } from '../deploy/load-targets.ts';
import type { Target } from '../deploy/target.ts';
import { specFromOptions } from './job-options.ts';
import { loadJobs } from './load-jobs.ts';

/** What `job run` is about. */
export interface SelectedJobs {
  readonly namespace: string;
  readonly jobs: readonly { readonly name?: string; readonly spec: JobSpecInput }[];
  readonly warnings: readonly string[];
  /** Code to deploy first, as the function that the job calls. */
  readonly deploy?: Target;
}

/** Files in which jobs are looked for where nothing is said. */
const FILES = ['ebb.yaml', 'ebb.yml', 'docker-compose.yml', 'docker-compose.yaml', 'compose.yaml', 'compose.yml'];

/**
 * Finds out which jobs to run: those of a file, or one of an image with a command, of a function, or of a directory with
 * a handler. Throws USAGE, MANIFEST_INVALID, FILE_FAILED, INPUT_INVALID.
 */
export async function selectJobs(context: CommandContext): Promise<SelectedJobs> {
  const { parameters, cwd, env } = context;
  const words = parameters.list('what');
  const flags = await specFromOptions(context);
  const given = parameters.text('name');
  const name = given === undefined ? undefined : await checkName(given, '--name');
  const named = name === undefined ? {} : { name };
  if (flags.image !== undefined || flags.function !== undefined) {
    const command = words.length > 0 ? { command: [...words] } : {};
    const job = { ...named, spec: { ...flags, ...command } };
    return { namespace: await namespaceOf(context), jobs: [job], warnings: [] };
  }
  const [word] = words;
  if (word !== undefined && isDirectory(resolve(cwd, word))) {
    const target = await targetOf(context, resolve(cwd, word), name);
    const { name: called, namespace } = target.ref;
    return { namespace, jobs: [{ name: called, spec: { ...flags, function: called } }], warnings: [], deploy: target };
  }
  if (word !== undefined) {
    throw new CliError(
      'USAGE',
      `"${word}" is no directory; say what runs with --image, --function or -f, and which job of a file with --name`,
    );
  }
  const file = parameters.text('file');
  const path =
    file === undefined ? FILES.map((one) => join(cwd, one)).find((one) => existsSync(one)) : resolve(cwd, file);
  if (path === undefined) {
    throw new CliError('USAGE', 'nothing says what to run: give --image, --function, -f or a directory');
  }
  const loaded = await loadJobs(path, { cwd, env });
  const jobs = loaded.jobs.filter((job) => name === undefined || job.name === name);
  if (jobs.length === 0) throw new CliError('USAGE', `${path} has no job called "${name ?? ''}"`);
  return {
    namespace: await namespaceOf(context, loaded.namespace ?? DEFAULT_NAMESPACE),
    jobs: jobs.map((job) => ({ name: job.name, spec: { ...job.spec, ...flags } })),
    warnings: loaded.warnings,
  };
}

/** The function of a directory: the one its `ebb.yaml` names, or its code under its own name. */
async function targetOf(context: CommandContext, directory: string, name: string | undefined): Promise<Target> {
  const manifest = findManifest(directory);
  if (manifest === undefined) {
    const ref = { namespace: await namespaceOf(context), name: name ?? nameOf(directory) };
    return { ref, spec: { runtime: 'node' }, codeDir: directory };
  }
  const { cwd, env, parameters } = context;
  const targets = await loadTargets(manifest, { cwd, env, namespace: parameters.text('namespace') });
  const found = targets.filter((target) => name === undefined || target.ref.name === name);
  if (found.length === 1 && found[0]) return found[0];
  const names = targets.map(({ ref }) => ref.name).join(', ');
  throw new CliError('USAGE', `${manifest} names the functions ${names}; choose one of them with --name`);
}

function nameOf(directory: string): string {
  const name = basename(directory).toLowerCase();
  if (NAME_PATTERN.test(name)) return name;
  throw new CliError('USAGE', `"${basename(directory)}" cannot be the name of a job; choose one with --name`);
}
