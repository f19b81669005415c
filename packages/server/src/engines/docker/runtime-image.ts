import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { pack, type Pack } from 'tar-stream';
import { EbbError } from '../../core/errors.ts';
import { NODE_PATH } from './build-host-config.ts';
import { ask } from './dial.ts';
import { type DockerClient, statusOf } from './docker-client.ts';
import { readProgress } from './read-progress.ts';

/** Changes with the layout of the image, so that an older one is not reused. */
const LAYOUT = 1;
const REPOSITORY = 'ebb/runtime-node';
/** What is pulled where the server's own interpreter cannot run in a container. */
const PULLED_IMAGE = 'node:26-slim';

const run = promisify(execFile);

/** A file of the host that goes into the image. */
interface SourceFile {
  /** Path in the image. */
  readonly path: string;
  readonly source: string;
  readonly status: Stats;
}

/** What {@link ensureRuntimeImage} needs. */
export interface RuntimeImageOptions {
  readonly client: DockerClient;
  /** Keeps the digest of the interpreter, which takes a while to compute. */
  readonly dataDir: string;
  /** An image of the operator's own with Node at `/usr/local/bin/node`. */
  readonly runtimeImage?: string;
  /** The interpreter to pack; the server's own unless given. */
  readonly nodePath?: string;
  readonly signal?: AbortSignal;
}

/**
 * Makes sure the image that managed instances run in is there, and returns its name. On Linux it is made of the very
 * interpreter the server runs under and the shared libraries that needs, so no registry is asked; its tag is a digest
 * of what is in it, so it is made once. Elsewhere, or when the operator names one, that image is returned and the
 * caller pulls it. Throws ENGINE_FAILED.
 */
export async function ensureRuntimeImage(options: RuntimeImageOptions): Promise<string> {
  if (options.runtimeImage !== undefined) return options.runtimeImage;
  if (process.platform !== 'linux') return PULLED_IMAGE;
  const files = await sourceFiles(options.nodePath ?? process.execPath);
  const tag = await contentTag(files, options.dataDir);
  const name = `${REPOSITORY}:${tag}`;
  const { client, signal } = options;
  try {
    await client.call(
      'look for the runtime image',
      client.deadlines.queryMs,
      (abortSignal) => ask(client.docker, `/images/${name}/json`, abortSignal),
      signal,
    );
    return name;
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
  await client.call(
    'import the runtime image',
    client.deadlines.pullMs,
    async (abortSignal) => {
      const archive = pack();
      // A broken archive ends the import, whose error is the one to show.
      const written = writeImage(archive, files).catch((error: Error) => archive.destroy(error));
      const progress = await client.docker.importImage(Readable.from(archive), {
        repo: REPOSITORY,
        tag,
        abortSignal,
      });
      await readProgress(progress);
      await written;
    },
    signal,
  );
  return name;
}

async function sourceFiles(nodePath: string): Promise<readonly SourceFile[]> {
  const libraries = await sharedLibraries(nodePath);
  const directory = libraries.map(({ path }) => path).find((path) => /\/libc[.-]/.test(path));
  // Loaded by name only when a host name is looked up, so the linker does not list them.
  const resolvers = directory
    ? ['libresolv.so.2', 'libnss_dns.so.2', 'libnss_files.so.2'].map((name) => join(dirname(directory), name))
    : [];
  const wanted = [
    { path: NODE_PATH, source: nodePath, isNeeded: true },
    ...libraries.map(({ path }) => ({ path, source: path, isNeeded: true })),
    ...resolvers.map((path) => ({ path, source: path, isNeeded: false })),
    { path: '/etc/ssl/certs/ca-certificates.crt', source: '/etc/ssl/certs/ca-certificates.crt', isNeeded: false },
  ];
  const files = new Map<string, SourceFile>();
  for (const { path, source, isNeeded } of wanted) {
    try {
      const real = await realpath(source);
      files.set(path, { path, source: real, status: await stat(real) });
    } catch (error) {
      if (isNeeded) throw imageError(`"${source}" cannot be read`, error);
    }
  }
  return [...files.values()];
}

async function sharedLibraries(binary: string): Promise<readonly { readonly path: string }[]> {
  let output: string;
  try {
    output = (await run('ldd', [binary], { timeout: 10_000 })).stdout;
  } catch (error) {
    throw imageError('"ldd" cannot list the libraries of Node', error);
  }
  const libraries: { path: string }[] = [];
  for (const line of output.split('\n')) {
    const match = /^\s*(\S+)(?: => (\S+))?(?: \(0x[0-9a-f]+\))?$/.exec(line);
    if (line.includes('not found')) throw imageError(`a library of Node is missing: ${line.trim()}`);
    // `name => path`, or only a path for the loader, which is looked up under exactly that name.
    for (const path of [match?.[1], match?.[2]]) if (path?.startsWith('/')) libraries.push({ path });
  }
  return libraries;
}

async function contentTag(files: readonly SourceFile[], dataDir: string): Promise<string> {
  const identity = JSON.stringify([
    LAYOUT,
    files.map(({ path, source, status }) => [path, source, status.size, status.mtimeMs, status.ino]),
  ]);
  const cachePath = join(dataDir, 'runtime-image.json');
  const cached = await readFile(cachePath, 'utf8')
    .then(parseCache)
    .catch(() => undefined);
  if (cached?.identity === identity) return cached.tag;
  const hash = createHash('sha256').update(`layout ${LAYOUT}\n`);
  for (const { path, source, status } of files) {
    hash.update(`${path} ${status.size}\n`);
    await pipeline(createReadStream(source, { highWaterMark: 2 ** 20 }), async (chunks) => {
      for await (const chunk of chunks) hash.update(chunk as Buffer);
    });
  }
  const tag = hash.digest('hex').slice(0, 16);
  // A cache only: without it the digest is computed at the next start again.
  await mkdir(dataDir, { recursive: true })
    .then(() => writeFile(`${cachePath}.new`, JSON.stringify({ identity, tag })))
    .then(() => rename(`${cachePath}.new`, cachePath))
    .catch(() => {});
  return tag;
}

function parseCache(text: string): { readonly identity: string; readonly tag: string } | undefined {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('identity' in value) || !('tag' in value)) return undefined;
  const { identity, tag } = value;
  return typeof identity === 'string' && typeof tag === 'string' && /^[0-9a-f]{16}$/.test(tag)
    ? { identity, tag }
    : undefined;
}

const DIRECTORIES = [
  'bin', 'dev', 'etc', 'function', 'opt', 'opt/ebb', 'opt/ebb/runtime', 'proc', 'root', 'run', 'run/ebb', 'sys', 'tmp',
  'usr', 'usr/bin', 'usr/local', 'usr/local/bin', 'var', 'var/openfaas', 'var/openfaas/secrets',
]; // prettier-ignore

const TEXTS: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n',
  'etc/group': 'root:x:0:\nnogroup:x:65534:\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

async function writeImage(archive: Pack, files: readonly SourceFile[]): Promise<void> {
  const made = new Set<string>();
  const makeDirectory = (path: string) => {
    if (path === '.' || made.has(path)) return;
    makeDirectory(dirname(path));
    made.add(path);
    archive.entry({ name: `${path}/`, type: 'directory', mode: path === 'tmp' ? 0o1777 : 0o755, mtime: new Date(0) });
  };
  for (const path of DIRECTORIES) makeDirectory(path);
  for (const [name, text] of Object.entries(TEXTS)) archive.entry({ name, mode: 0o644, mtime: new Date(0) }, text);
  for (const { path, source, status } of files) {
    const name = path.slice(1);
    makeDirectory(dirname(name));
    const mode = (status.mode & 0o111) === 0 ? 0o644 : 0o755;
    const entry = archive.entry({ name, mode, size: status.size, mtime: new Date(0) });
    await pipeline(createReadStream(source, { highWaterMark: 2 ** 18 }), entry);
  }
  archive.finalize();
}

function imageError(problem: string, cause?: unknown): EbbError {
  return new EbbError(
    'ENGINE_FAILED',
    `the image for managed functions cannot be made: ${problem}; name an image that has Node with the setting runtimeImage`,
    { cause },
  );
}
