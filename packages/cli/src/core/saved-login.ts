import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CliError } from './cli-error.ts';

/** A server somebody logged in to. */
export interface SavedLogin {
  readonly url: string;
  readonly token: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the login is kept: `$XDG_CONFIG_HOME/ebb/config.json`, by default under `~/.config`. */
export function configFilePath(env: Environment): string {
  const base = env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config');
  return join(base, 'ebb', 'config.json');
}

/** The saved login, or undefined when there is none. */
export async function readSavedLogin(env: Environment): Promise<SavedLogin | undefined> {
  const path = configFilePath(env);
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new CliError('FILE_FAILED', `${path} cannot be read; run "ebb login" again`, { cause: error });
  }
  if (typeof content !== 'object' || content === null) return undefined;
  const { url, token } = content as Partial<SavedLogin>;
  return typeof url === 'string' && typeof token === 'string' ? { url, token } : undefined;
}

/** Keeps a login in a file that only its owner can read; a reader sees the old one or the new one, never half. */
export async function writeSavedLogin(env: Environment, login: SavedLogin): Promise<string> {
  const path = configFilePath(env);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(login, undefined, 2)}\n`, { mode: 0o600 });
  await chmod(draft, 0o600);
  await rename(draft, path);
  return path;
}
