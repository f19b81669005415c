import { chmod, chown, lstat, mkdir, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SECRET_NAME_PATTERN } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';

/** What an instance's id must match; it names a directory, a container and a label. */
export const INSTANCE_ID_PATTERN = /^(?!-)[a-z0-9-]{1,63}$/;

/** Name of the socket inside an instance's socket directory. */
export const SOCKET_NAME = 'sock';
/** Name a runtime listens on before it renames the socket to {@link SOCKET_NAME}. */
export const PENDING_SOCKET_NAME = 'sock.new';

/** Most bytes the kernel takes as the path of a unix socket, without the closing NUL (unix(7), sun_path). */
const SOCKET_PATH_MAX_BYTES = 107;

/** What an instance's directory is made from. */
export interface InstanceDirOptions {
  /** Absolute directory of the installation's instances. */
  readonly runDir: string;
  readonly id: string;
  readonly secrets: Readonly<Record<string, Uint8Array>>;
  /** User that the instance runs as, when it is not the server's own. */
  readonly ownerUid?: number;
}

/** The directories of one instance. */
export interface InstanceDir {
  readonly root: string;
  /** Holds the instance's socket; writable for the instance until {@link sealSocket}. */
  readonly socketDir: string;
  /** One file a secret, readable for the instance. */
  readonly secretsDir: string;
  /** Path of the instance's socket once it listens. */
  readonly socketPath: string;
}

/** Paths of an instance's directories, whether they exist or not. Throws INVALID_REQUEST for a malformed id. */
export function instanceDirPaths(runDir: string, id: string): InstanceDir {
  if (!INSTANCE_ID_PATTERN.test(id)) {
    throw new EbbError(
      'INVALID_REQUEST',
      `the instance id ${JSON.stringify(id.slice(0, 80))} must be 1 to 63 lower-case letters, digits or "-", not starting with "-"`,
    );
  }
  const root = join(runDir, 'i', id);
  const socketDir = join(root, 's');
  return {
    root,
    socketDir,
    secretsDir: join(root, 'secrets'),
    socketPath: join(socketDir, SOCKET_NAME),
  };
}

/**
 * Makes the directory of a new instance with its secrets. Everything lies under directories only the server's user
 * may enter; inside, any user may create the socket, because a container's user is not the server's. Throws
 * CONFIG_INVALID when sockets in `runDir` would have too long a path, ENGINE_FAILED when the directory exists or
 * cannot be made; then nothing is left behind that was not there before.
 */
export async function createInstanceDir(options: InstanceDirOptions): Promise<InstanceDir> {
  const paths = instanceDirPaths(options.runDir, options.id);
  assertSocketPathFits(options.runDir, paths.socketDir);
  const parent = join(options.runDir, 'i');
  await makeParents(options.runDir, parent);
  try {
    await mkdir(paths.root, { mode: 0o700 });
  } catch (error) {
    throw new EbbError('ENGINE_FAILED', `the directory of instance "${options.id}" cannot be made: ${reason(error)}`, {
      cause: error,
    });
  }
  try {
    await Promise.all([mkdir(paths.socketDir), mkdir(paths.secretsDir)]);
    // mkdir's mode is subject to the umask, chmod's is not.
    await Promise.all([chmod(paths.socketDir, 0o777), chmod(paths.secretsDir, 0o755)]);
    await writeSecrets(paths, options.secrets, options.ownerUid);
    return paths;
  } catch (error) {
    await rm(paths.root, { recursive: true, force: true });
    if (error instanceof EbbError) throw error;
    throw new EbbError('ENGINE_FAILED', `the directory of instance "${options.id}" cannot be made: ${reason(error)}`, {
      cause: error,
    });
  }
}

/**
 * Puts secrets into an instance's directory, readable for it alone. Throws INVALID_REQUEST for a name that is none,
 * else what the file system says.
 */
export async function writeSecrets(
  paths: InstanceDir,
  secrets: Readonly<Record<string, Uint8Array>>,
  ownerUid?: number,
): Promise<void> {
  for (const [name, value] of Object.entries(secrets)) await writeSecret(paths.secretsDir, name, value, ownerUid);
}

/**
 * Takes the directory of a socket away from whoever made the socket, and makes sure that it is one. The gateway
 * connects by path with the server's rights: a function that put a link there could lead it to any socket of the
 * host, the engine's own among them. Only after the directory is closed does it stay what it was found to be. Throws
 * START_FAILED when it is no socket.
 */
export async function sealSocket(path: string): Promise<void> {
  const directory = dirname(path);
  const { mode } = await lstat(directory);
  await chmod(directory, mode & 0o755);
  const status = await lstat(path).catch(() => undefined);
  if (status?.isSocket() === true) return;
  throw new EbbError('START_FAILED', 'the instance put something that is no socket in the place of its socket');
}

/** Removes an instance's directory and all in it; links are removed, never followed. Fine when there is none. */
export async function removeInstanceDir(runDir: string, id: string): Promise<void> {
  const { root } = instanceDirPaths(runDir, id);
  try {
    await rm(root, { recursive: true, force: true, maxRetries: 3, retryDelay: 10 });
  } catch (error) {
    throw new EbbError('ENGINE_FAILED', `the directory of instance "${id}" cannot be removed: ${reason(error)}`, {
      cause: error,
    });
  }
}

/** Ids of the instances that have a directory. */
export async function listInstanceDirs(runDir: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(join(runDir, 'i'), { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && INSTANCE_ID_PATTERN.test(entry.name))
      .map((entry) => entry.name);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw new EbbError('ENGINE_FAILED', `the instances in "${runDir}" cannot be listed: ${reason(error)}`, {
      cause: error,
    });
  }
}

function assertSocketPathFits(runDir: string, socketDir: string): void {
  const bytes = Buffer.byteLength(join(socketDir, PENDING_SOCKET_NAME));
  if (bytes <= SOCKET_PATH_MAX_BYTES) return;
  const allowed = Buffer.byteLength(runDir) - (bytes - SOCKET_PATH_MAX_BYTES);
  throw new EbbError(
    'CONFIG_INVALID',
    `the run directory "${runDir}" is too long for unix sockets: it may have at most ${allowed} bytes, so choose a shorter data directory`,
  );
}

async function makeParents(runDir: string, parent: string): Promise<void> {
  try {
    await mkdir(runDir, { recursive: true, mode: 0o700 });
    await mkdir(parent, { mode: 0o700 }).catch((error: unknown) => {
      if (!isErrno(error, 'EEXIST')) throw error;
    });
    const status = await lstat(parent);
    if (!status.isDirectory()) throw new Error('it is not a directory');
    // Others could read secrets or replace sockets if they might enter here.
    if ((status.mode & 0o077) !== 0) await chmod(parent, 0o700);
  } catch (error) {
    throw new EbbError('ENGINE_FAILED', `the run directory "${parent}" cannot be used: ${reason(error)}`, {
      cause: error,
    });
  }
}

async function writeSecret(directory: string, name: string, value: Uint8Array, ownerUid?: number): Promise<void> {
  if (!SECRET_NAME_PATTERN.test(name)) {
    throw new EbbError('INVALID_REQUEST', `the secret name ${JSON.stringify(name.slice(0, 80))} is not allowed`);
  }
  const path = join(directory, name);
  const file = await open(path, 'wx', 0o400);
  try {
    await file.writeFile(value);
    const isForeign = ownerUid !== undefined && ownerUid !== process.getuid?.();
    // Only root can give a file away; otherwise the closed parent directory keeps other users out.
    await file.chmod(isForeign && process.getuid?.() !== 0 ? 0o444 : 0o400);
  } finally {
    await file.close();
  }
  if (ownerUid !== undefined && process.getuid?.() === 0) await chown(path, ownerUid, ownerUid);
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
