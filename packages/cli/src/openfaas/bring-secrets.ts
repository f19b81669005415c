import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';
import { askHidden } from '../terminal/ask-hidden.ts';

/** A secret by name; values never leave the platform that has them. */
export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

/** A secret to bring. */
export interface NeededSecret extends SecretName {
  /** Whether a function names it. */
  readonly isUsed: boolean;
}

/** A secret with its value. */
export interface SecretValue extends SecretName {
  readonly value: Uint8Array<ArrayBuffer>;
}

/** Files with values as `--secret` names them, by `NAME` or `NAMESPACE/NAME`. Throws USAGE. */
export function parseSecretFiles(pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    pairs.map((pair): [string, string] => {
      const equals = pair.indexOf('=');
      if (equals > 0 && equals < pair.length - 1) return [pair.slice(0, equals), pair.slice(equals + 1)];
      throw new CliError('USAGE', `"--secret" is "${pair}" but must be NAME=FILE or NAMESPACE/NAME=FILE`);
    }),
  );
}

/**
 * Gets the values of secrets that the server has none of: from files, else by asking on a terminal. One that no function
 * names and that has no value is left out and returned under `skipped`. Throws USAGE where a value is missing and nobody
 * can be asked, before anything was changed.
 */
export async function gatherSecrets(
  { stdin, stderr, cwd }: Pick<CommandContext, 'stdin' | 'stderr' | 'cwd'>,
  needed: readonly NeededSecret[],
  files: ReadonlyMap<string, string>,
): Promise<{ readonly values: readonly SecretValue[]; readonly skipped: readonly SecretName[] }> {
  const fileOf = ({ namespace, name }: SecretName): string | undefined =>
    files.get(`${namespace}/${name}`) ?? files.get(name);
  for (const given of files.keys()) {
    if (needed.some(({ namespace, name }) => given === name || given === `${namespace}/${name}`)) continue;
    throw new CliError(
      'USAGE',
      `"--secret ${given}=..." names a secret that nothing here needs, or that is set already`,
    );
  }
  const missing = needed.filter((one) => one.isUsed && fileOf(one) === undefined);
  if (missing.length > 0 && !stdin.isTTY) {
    const options = missing.map(({ namespace, name }) => `--secret ${namespace}/${name}=FILE`);
    throw new CliError(
      'USAGE',
      `values of secrets cannot be read from another platform, and nobody can be asked here: give ${options.join(' ')}`,
    );
  }
  const values: SecretValue[] = [];
  const skipped: SecretName[] = [];
  for (const secret of needed) {
    const file = fileOf(secret);
    if (file !== undefined) values.push({ ...secret, value: await readBytes(resolve(cwd, file)) });
    else if (!stdin.isTTY) skipped.push(secret);
    else {
      const { namespace, name, isUsed } = secret;
      const hint = isUsed ? '' : ' (no function uses it; empty leaves it out)';
      const text = await askHidden(`Value of secret ${name} in ${namespace}${hint}: `, stdin, stderr);
      if (text !== '') values.push({ ...secret, value: new TextEncoder().encode(text) });
      else if (!isUsed) skipped.push(secret);
      else throw new CliError('INPUT_INVALID', `the value of secret "${name}" is empty`);
    }
  }
  return { values, skipped };
}

async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new CliError('FILE_FAILED', `the file ${path} with the value of a secret cannot be read`, { cause: error });
  }
  if (bytes.length === 0) throw new CliError('INPUT_INVALID', `the file ${path} with the value of a secret is empty`);
  return new Uint8Array(bytes);
}
