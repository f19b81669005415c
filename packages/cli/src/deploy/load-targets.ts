import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { CliError } from '../core/cli-error.ts';
import { parseManifest } from '../manifest/parse-manifest.ts';
import type { Target } from './target.ts';

/** Names under which a manifest is looked for in a directory. */
const MANIFEST_NAMES = ['ebb.yaml', 'ebb.yml'];

/** The manifest of a directory, or undefined when it has none. */
export function findManifest(directory: string): string | undefined {
  return MANIFEST_NAMES.map((name) => join(directory, name)).find(isFile);
}

/** What a manifest is read with. */
export interface LoadOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Overrides the namespace of the file. */
  readonly namespace?: string | undefined;
}

/** The functions of a manifest. Throws MANIFEST_INVALID, FILE_FAILED. */
export async function loadTargets(path: string, options: LoadOptions): Promise<readonly Target[]> {
  let source: string;
  try {
    source = await readFile(path, 'utf8');
  } catch (error) {
    throw new CliError('FILE_FAILED', `the file ${path} cannot be read`, { cause: error });
  }
  const near = relative(options.cwd, path);
  const file = near.startsWith('..') ? path : near;
  const manifest = parseManifest(source, { file, env: options.env });
  if (manifest.functions.length === 0) {
    throw new CliError('MANIFEST_INVALID', `${file}:1: "functions" names no function; add one`);
  }
  const namespace = options.namespace ?? manifest.namespace ?? DEFAULT_NAMESPACE;
  const directory = dirname(path);
  return manifest.functions.map(({ name, spec, code, rollout }) => {
    if (code !== undefined && spec.image !== undefined) {
      const message = `"functions.${name}.code" is only for functions with a runtime, but this one has an image`;
      throw new CliError('MANIFEST_INVALID', `${file}: ${message}`);
    }
    const target = { ref: { namespace, name }, spec, manifest: path, ...(rollout && { rollout }) };
    return spec.runtime === undefined ? target : { ...target, codeDir: codeDirOf(directory, name, code) };
  });
}

/** Where the code of a function is: as said, else the directory named like it, else that of the manifest. */
function codeDirOf(directory: string, name: string, code: string | undefined): string {
  if (code !== undefined) return resolve(directory, code);
  const own = join(directory, name);
  return isDirectory(own) ? own : directory;
}

/** Whether a path is a directory that can be looked at. */
export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
