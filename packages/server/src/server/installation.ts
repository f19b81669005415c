import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { EbbError } from '../core/errors.ts';
import { newShortId } from '../core/ids.ts';

/** Where a server keeps things. */
export interface Installation {
  /** Lives as long as the data directory; labels everything on engines that is this installation's. */
  readonly id: string;
  readonly dataDir: string;
  /** Short path for sockets and secrets of instances, in memory where the host allows it. */
  readonly runDir: string;
  /** Whether the data directory was empty before. */
  readonly firstStart: boolean;
}

/** Finds or makes the installation of a data directory. Throws STORE_FAILED when it cannot be written. */
export function openInstallation(dataDir: string): Installation {
  const idFile = join(dataDir, 'installation');
  try {
    makeDirectory(dataDir);
    const found = read(idFile);
    const id = found ?? newShortId(4);
    if (found === undefined) writeFileAtomically(idFile, `${id}\n`);
    return { id, dataDir, runDir: makeRunDir(id), firstStart: found === undefined };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EbbError('STORE_FAILED', `the data directory ${dataDir} cannot be used: ${why}`, { cause });
  }
}

/** What a client on the same machine needs to reach the running server; the file is readable by its owner alone. */
export interface ServerFile {
  readonly url: string;
  readonly metricsUrl?: string;
  readonly token: string;
  readonly pid: number;
  readonly installation: string;
  readonly startedAt: string;
}

/** Writes `server.json`; disposing removes it, unless a later server has written its own by then. */
export function writeServerFile(dataDir: string, content: ServerFile): Disposable {
  const path = join(dataDir, 'server.json');
  const text = JSON.stringify(content, undefined, 2);
  writeFileAtomically(path, `${text}\n`);
  return {
    [Symbol.dispose]: () => {
      // A successor has the same token.
      if (read(path) === text) rmSync(path, { force: true });
    },
  };
}

/** What the server that ran last wrote about itself; it may have ended. Undefined when there is nothing to read. */
export function readServerFile(dataDir: string): Pick<ServerFile, 'pid'> | undefined {
  try {
    const content: unknown = JSON.parse(read(join(dataDir, 'server.json')) ?? 'null');
    if (typeof content !== 'object' || content === null || !('pid' in content)) return undefined;
    return typeof content.pid === 'number' ? { pid: content.pid } : undefined;
  } catch {
    return undefined;
  }
}

/** Where engines keep code mounted that running instances may get. */
const STAGED_DIR = 'staged';

/** Removes the run directory of a server that stopped, unless an instance that would not end is still in it. */
export function removeRunDir(runDir: string): void {
  const instances = join(runDir, 'i');
  if (existsSync(instances) && readdirSync(instances).length > 0) return;
  // Functions' code is still mounted there; removing it here would remove it where it is kept.
  if (existsSync(join(runDir, STAGED_DIR))) return;
  rmSync(runDir, { recursive: true, force: true });
}

/** Like a recursive mkdir, which never returns where the file system has no such directory and makes none (/proc). */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent);
  mkdirSync(path, { mode: 0o700 });
}

/** Writes beside the target and renames, so that a reader never sees half a file. */
function writeFileAtomically(path: string, text: string): void {
  const temporary = `${path}.${newShortId()}`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** `/dev/shm` keeps secrets off the disk; elsewhere the system's directory for temporary files has to do. */
function makeRunDir(id: string): string {
  for (const parent of process.platform === 'linux' ? ['/dev/shm', tmpdir()] : ['/tmp', tmpdir()]) {
    const path = join(parent, `ebb-${id}`);
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      chmodSync(path, 0o700);
      return path;
    } catch {
      // The next place is tried.
    }
  }
  throw new Error('no directory for sockets could be made');
}
