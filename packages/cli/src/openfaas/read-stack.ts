import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { CliError } from '../core/cli-error.ts';
import { createHttpFetch } from '../core/http-fetch.ts';
import type { ImageBuild, ImportedFunction, ImportSource } from './deployment.ts';
import { parseEnvironmentFile, parseStack, type StackFunction } from './parse-stack.ts';

/** What a `stack.yaml` is read with. */
export interface ReadStackOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Overrides the namespaces of the file. */
  readonly namespace?: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * The functions of a `stack.yaml`, which is a file or the address of one. Files it names are looked for beside it, then
 * in the working directory. Throws MANIFEST_INVALID, FILE_FAILED, and what a failed request throws.
 */
export async function readStack(place: string, options: ReadStackOptions): Promise<ImportSource> {
  const { cwd, env } = options;
  const isAddress = /^https?:\/\//i.test(place);
  const path = resolve(cwd, place);
  const near = relative(cwd, path);
  const file = isAddress ? place : near.startsWith('..') ? path : near;
  const stack = parseStack(isAddress ? await download(place, options.signal) : await readText(path), { file, env });
  const baseDir = isAddress ? cwd : dirname(path);
  const functions: ImportedFunction[] = [];
  for (const one of stack.functions) {
    if (one.image === undefined) {
      throw new CliError(
        'MANIFEST_INVALID',
        `${file}: "functions.${one.name}.image" is missing: it says where the image is, also of one that is built from a template`,
      );
    }
    const environment = await readEnvironment(one, [baseDir, cwd], env);
    const build = one.skipBuild || isAddress ? undefined : buildOf(one, baseDir, stack.copy);
    functions.push({
      deployment: {
        service: one.name,
        namespace: options.namespace ?? one.namespace ?? DEFAULT_NAMESPACE,
        image: one.image,
        ...(one.fprocess === undefined ? {} : { envProcess: one.fprocess }),
        envVars: environment,
        constraints: one.constraints,
        secrets: one.secrets,
        labels: one.labels,
        annotations: one.annotations,
        ...(one.limits === undefined ? {} : { limits: one.limits }),
        ...(one.requests === undefined ? {} : { requests: one.requests }),
        readOnlyRootFilesystem: one.readOnlyRootFilesystem,
      },
      ...(build === undefined ? {} : { build }),
      notes: notesOf(one, options.namespace),
    });
  }
  return { from: file, functions, secrets: [], notes: stack.notes };
}

/** Variables of a function: those of its files count more than its own, and those of the last file most. */
async function readEnvironment(
  one: StackFunction,
  directories: readonly string[],
  env: ReadStackOptions['env'],
): Promise<Readonly<Record<string, string>>> {
  let environment = one.environment;
  for (const name of one.environmentFiles) {
    const source = await readFirst(name, directories, one.name);
    environment = { ...environment, ...parseEnvironmentFile(source, { file: name, env }) };
  }
  return environment;
}

function buildOf(one: StackFunction, baseDir: string, copy: readonly string[]): ImageBuild | undefined {
  if (one.handler === undefined || one.lang === undefined) return undefined;
  return {
    lang: one.lang,
    handlerDir: resolve(baseDir, one.handler),
    args: one.buildArgs,
    options: one.buildOptions,
    secrets: Object.fromEntries(
      Object.entries(one.buildSecrets).map(([name, path]): [string, string] => [name, resolve(baseDir, path)]),
    ),
    ...(one.platforms === undefined ? {} : { platforms: one.platforms }),
    copy: copy.map((path) => resolve(baseDir, path)),
    baseDir,
  };
}

function notesOf(one: StackFunction, namespace: string | undefined): string[] {
  return [
    ...one.unknown.map((field) => `the field "${field}" is not known and means nothing here`),
    ...(namespace === undefined || one.namespace === undefined || one.namespace === namespace
      ? []
      : [`it goes into the namespace "${namespace}" instead of "${one.namespace}", as --namespace says`]),
  ];
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new CliError('FILE_FAILED', `the file ${path} cannot be read`, { cause: error });
  }
}

async function readFirst(name: string, directories: readonly string[], owner: string): Promise<string> {
  const paths = isAbsolute(name) ? [name] : [...new Set(directories.map((directory) => resolve(directory, name)))];
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  throw new CliError('FILE_FAILED', `the file ${name} with variables of "${owner}" cannot be read`);
}

async function download(address: string, signal: AbortSignal): Promise<string> {
  const response = await createHttpFetch({ keepAlive: false })(address, { signal });
  if (response.status === 200) return response.text();
  await response.body?.cancel();
  throw new CliError('FILE_FAILED', `${address} answered ${response.status} instead of a stack.yaml`);
}
