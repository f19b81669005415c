import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newShortId } from '../core/ids.ts';
import { EbbError } from '../core/errors.ts';

/** A runtime that plain Node can run, on this host or mounted into a container. */
export interface PreparedRuntime {
  /** Absolute directory with all of the runtime's files, readable by every user. */
  readonly directory: string;
  /** Name of the file in it to run. */
  readonly entry: string;
}

/**
 * Turns the sources of the Node runtime into plain JavaScript under `<dataDir>/runtimes/node-<hash>`, once per
 * content; a directory that is there is complete. Throws STORE_FAILED when the data directory cannot be written.
 */
export async function prepareNodeRuntime(options: { readonly dataDir: string }): Promise<PreparedRuntime> {
  // The package may be a link in a workspace or an installed dependency; only its name is certain.
  const main = fileURLToPath(import.meta.resolve('@ebb/runtime-node'));
  const sources = await readSources(dirname(main));
  const hash = createHash('sha256').update(`${TRANSLATION}\0${process.version}\0`);
  for (const { name, text } of sources) hash.update(`${name}\0${text.length}\0${text}`);
  const parent = join(options.dataDir, 'runtimes');
  const directory = join(parent, `node-${hash.digest('hex').slice(0, 16)}`);
  const runtime = { directory, entry: 'main.mjs' };
  if (await exists(directory)) return runtime;
  const pending = join(parent, `.node-${newShortId()}`);
  try {
    await mkdir(pending, { recursive: true });
    const scripts = await stripTypes(sources);
    await Promise.all(
      sources.map(({ name }, index) => writeReadable(join(pending, toModule(name)), toScript(scripts[index] ?? ''))),
    );
    // Instances run as users of their own; the umask of the server must not shut them out.
    await chmod(pending, 0o755);
    await rename(pending, directory);
  } catch (error) {
    await rm(pending, { recursive: true, force: true }).catch(() => {});
    // Somebody else was faster: what is there has the same content.
    if (await exists(directory)) return runtime;
    throw new EbbError('STORE_FAILED', `the Node runtime cannot be written to "${directory}"`, { cause: error });
  }
  return runtime;
}

/** Changed whenever {@link translate} gives other results for the same sources. */
const TRANSLATION = 1;

interface Source {
  readonly name: string;
  readonly text: string;
}

async function readSources(directory: string): Promise<readonly Source[]> {
  const names = (await readdir(directory)).filter((name) => /\.m?[jt]s$/.test(name) && !/\.(test|d)\.m?ts$/.test(name));
  return Promise.all(
    names.toSorted().map(async (name) => ({ name, text: await readFile(join(directory, name), 'utf8') })),
  );
}

/**
 * Types become blanks, so that lines and columns of stack traces stay those of the source. Done in a process of its
 * own: the compiler takes 35 MB, which the server would otherwise keep for as long as it runs.
 */
async function stripTypes(sources: readonly Source[]): Promise<readonly string[]> {
  const child = spawn(process.execPath, ['--no-warnings', '--eval', STRIP_TYPES], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {},
  });
  const { promise: exited, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  child.stdin.end(JSON.stringify(sources));
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await exited;
  if (code !== 0) throw new Error(`the compiler ended with code ${code}`);
  return JSON.parse(Buffer.concat(chunks).toString()) as string[];
}

const STRIP_TYPES = `
const sources = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const { stripTypeScriptTypes } = require('node:module');
const scripts = sources.map(({ name, text }) => (name.endsWith('ts') ? stripTypeScriptTypes(text) : text));
process.stdout.write(JSON.stringify(scripts));
`;

function toScript(text: string): string {
  return text.replaceAll(RELATIVE_IMPORT, (_all, start: string, path: string) => start + toModule(path));
}

async function writeReadable(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o644);
}

/** `from './x.ts` and `import('./x.ts`, up to the closing quote. */
const RELATIVE_IMPORT = /((?:\bfrom\s*|\bimport\s*\(?\s*)['"])(\.\/[-\w]+\.m?[jt]s)(?=['"])/g;

function toModule(path: string): string {
  return path.replace(/\.m?[jt]s$/, '.mjs');
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
