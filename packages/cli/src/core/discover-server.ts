import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CliError } from './cli-error.ts';
import { configFilePath, readSavedLogin } from './saved-login.ts';

/** Where a server is, how to get in, and how we know. */
export interface ServerAddress {
  readonly url: string;
  readonly token?: string | undefined;
  /** Where the address came from, for error messages: `--url`, `EBB_URL` or a file. */
  readonly source: string;
}

/** What discovery may look at. */
export interface DiscoveryInputs {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  readonly dataDir?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** Name of the file in which a running server says where it is. */
const SERVER_FILE = 'server.json';

/**
 * Finds the server to talk to: `--url` or `EBB_URL`; else the running server's `server.json` in the data directory
 * (`--data-dir` or `EBB_DATA_DIR`) or in `.ebb` here or in a parent directory; else the saved login. A token from
 * elsewhere is used only with the very address it was kept for. Throws NO_SERVER.
 */
export async function discoverServer(inputs: DiscoveryInputs): Promise<ServerAddress> {
  const { env, cwd } = inputs;
  const token = inputs.token ?? (env['EBB_TOKEN'] || undefined);
  const url = inputs.url ?? (env['EBB_URL'] || undefined);
  const dataDir = inputs.dataDir ?? (env['EBB_DATA_DIR'] || undefined);
  if (url !== undefined) {
    const source = inputs.url === undefined ? 'EBB_URL' : '--url';
    const address = { url: checkUrl(url, source), source };
    if (token !== undefined) return { ...address, token };
    const known = [await findServerFile(dataDir, cwd), await readSavedLogin(env)];
    return { ...address, token: known.find((candidate) => isSameServer(candidate?.url, address.url))?.token };
  }
  const running = await findServerFile(dataDir, cwd);
  if (running) return token === undefined ? running : { ...running, token };
  if (dataDir !== undefined) {
    throw new CliError(
      'NO_SERVER',
      `no server runs on the data directory ${resolve(cwd, dataDir)}; start one with "ebb up --data-dir ${dataDir}"`,
    );
  }
  const saved = await readSavedLogin(env);
  if (saved) return { url: saved.url, token: token ?? saved.token, source: configFilePath(env) };
  throw new CliError(
    'NO_SERVER',
    'no server found: start one with "ebb up" in this directory, or name one with --url or "ebb login"',
  );
}

/** The address a running server left in its data directory, or undefined when there is none. */
async function readServerFile(dataDir: string): Promise<ServerAddress | undefined> {
  const source = join(dataDir, SERVER_FILE);
  let text: string;
  try {
    // Whoever may plant a file decides where tokens are sent, so only our own files and root's count.
    const owner = (await stat(source)).uid;
    if (owner !== 0 && process.getuid !== undefined && owner !== process.getuid()) return undefined;
    text = await readFile(source, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EACCES') {
      throw new CliError(
        'NO_SERVER',
        `${source} may be read only by the user who started the server; use --url with --token, or that user`,
        { cause: error },
      );
    }
    throw error;
  }
  const content = parseJson(text);
  if (typeof content !== 'object' || content === null || !('url' in content) || typeof content.url !== 'string') {
    throw new CliError('NO_SERVER', `${source} is damaged; restart the server, or name it with --url`);
  }
  const token = 'token' in content && typeof content.token === 'string' ? content.token : undefined;
  return { url: content.url, token, source };
}

async function findServerFile(dataDir: string | undefined, cwd: string): Promise<ServerAddress | undefined> {
  if (dataDir !== undefined) return readServerFile(resolve(cwd, dataDir));
  for (let directory = cwd; ; directory = dirname(directory)) {
    const found = await readServerFile(join(directory, '.ebb'));
    if (found || directory === dirname(directory)) return found;
  }
}

/** Checks an address a person gave; `what` names where in the error. */
export function checkUrl(text: string, what: string): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw new CliError('USAGE', `"${what}" is "${text}" but must be an address such as "http://127.0.0.1:8080"`);
  }
  return url.href.replace(/\/+$/, '');
}

function isSameServer(a: string | undefined, b: string): boolean {
  return a !== undefined && URL.parse(a)?.origin === URL.parse(b)?.origin;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
