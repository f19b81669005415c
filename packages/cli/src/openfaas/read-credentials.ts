import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { CliError } from '../core/cli-error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What a gateway is asked with. */
export interface CredentialInputs {
  readonly gateway: string;
  readonly username: string | undefined;
  /** The password, where it was handed in. */
  readonly password: string | undefined;
  readonly env: Environment;
  readonly cwd: string;
}

/**
 * The `Authorization` header for a gateway: of the user and password given, else of the login that the gateway's own tools
 * saved in `~/.openfaas/config.yml`; undefined when there is neither. Throws USAGE, FILE_FAILED.
 */
export async function readCredentials(inputs: CredentialInputs): Promise<string | undefined> {
  const { username, password } = inputs;
  if (password !== undefined) return basic(`${username ?? 'admin'}:${password}`);
  if (username !== undefined) {
    throw new CliError('USAGE', '--username is given without a password; pass it with --password-stdin');
  }
  const path = configPath(inputs.env, inputs.cwd);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return '';
    throw new CliError('FILE_FAILED', `the file ${path} cannot be read`, { cause: error });
  });
  return savedHeader(text, inputs.gateway, path);
}

/** Where the saved logins are. */
function configPath(env: Environment, cwd: string): string {
  const folder =
    env['OPENFAAS_CONFIG'] ||
    (env['CI'] === 'true' ? join(cwd, '.openfaas') : join(env['HOME'] || homedir(), '.openfaas'));
  return join(folder, 'config.yml');
}

/** The header of the login that is kept for a gateway in the text of a `config.yml`. */
function savedHeader(text: string, gateway: string, path: string): string | undefined {
  let content: unknown;
  try {
    content = parse(text);
  } catch (error) {
    throw new CliError('FILE_FAILED', `${path} is not valid YAML; log in to the gateway again, or give --username`, {
      cause: error,
    });
  }
  const auths: unknown = typeof content === 'object' && content !== null && 'auths' in content ? content.auths : [];
  for (const entry of Array.isArray(auths) ? (auths as unknown[]) : []) {
    if (typeof entry !== 'object' || entry === null) continue;
    const { gateway: place, auth, token } = entry as Readonly<Record<string, unknown>>;
    if (typeof place !== 'string' || typeof token !== 'string' || token === '') continue;
    if (plain(place) !== plain(gateway)) continue;
    return auth === 'oauth2' ? `Bearer ${token}` : `Basic ${token}`;
  }
  return undefined;
}

function basic(pair: string): string {
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

function plain(address: string): string {
  return address.toLowerCase().replace(/\/+$/, '');
}
