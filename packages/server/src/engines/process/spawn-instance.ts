import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EbbError } from '../../core/errors.ts';
import type { PreparedRuntime } from '../../runtimes/prepare-runtime.ts';
import type { InstanceLimits } from '../engine.ts';
import type { InstanceDir } from '../instance-dir.ts';
import { openOutputFiles } from './instance-output.ts';

/** Part of the memory limit that JavaScript objects may take; the rest is for buffers and the runtime itself. */
const HEAP_SHARE = 0.75;
const MIN_HEAP_MIB = 32;

/** Name of the folder in an instance's directory that holds its output. */
export const LOG_DIR = 'log';

/** What the process of an instance is started with. */
export interface SpawnOptions {
  readonly id: string;
  readonly limits: InstanceLimits;
  readonly dir: InstanceDir;
  readonly runtime: PreparedRuntime;
  /** Environment on top of what every process gets; the platform's own variables included. */
  readonly env: Readonly<Record<string, string>>;
}

/** Makes the folder an instance's process works in, and the ones for its output and temporary files. */
export async function makeWorkDir(dir: InstanceDir): Promise<void> {
  const names = [workDirOf(dir), join(dir.root, 'tmp'), join(dir.root, LOG_DIR)];
  await Promise.all(names.map((path) => mkdir(path, { mode: 0o700 })));
}

/** Where an instance's process works: its own folder, with the code's entries linked into it. */
export function workDirOf(dir: InstanceDir): string {
  return join(dir.root, 'work');
}

/** Links the entries of a code directory into the folder an instance's process works in. */
export async function linkCode(dir: InstanceDir, codeDir: string): Promise<void> {
  const names = await readdir(codeDir);
  await Promise.all(names.map((name) => symlink(join(codeDir, name), join(workDirOf(dir), name))));
}

/** The environment entry by which a process of an instance is known, whatever became of its parents. */
export function instanceMark(dir: InstanceDir): string {
  return `EBB_SOCKET=${dir.socketPath}`;
}

/**
 * Starts the process of an instance in a process group of its own, so that it outlives the server and ends with all
 * it started. Throws ENGINE_FAILED when it cannot be started.
 */
export async function spawnInstance(options: SpawnOptions): Promise<ChildProcess & { readonly pid: number }> {
  const { id, limits, dir, runtime } = options;
  let files: ReturnType<typeof openOutputFiles> | undefined;
  try {
    files = openOutputFiles(join(dir.root, LOG_DIR));
    const heapMib = Math.max(MIN_HEAP_MIB, Math.floor((limits.memoryBytes / 2 ** 20) * HEAP_SHARE));
    const child = spawn(process.execPath, [`--max-old-space-size=${heapMib}`, join(runtime.directory, runtime.entry)], {
      cwd: workDirOf(dir),
      detached: true,
      stdio: ['ignore', files.stdout, files.stderr],
      // A fresh object: nothing of the server's own environment, which may hold its secrets (T2, E2).
      env: {
        PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
        LANG: 'C.UTF-8',
        HOME: workDirOf(dir),
        TMPDIR: join(dir.root, 'tmp'),
        ...options.env,
      },
    });
    await once(child, 'spawn');
    child.unref();
    if (!hasPid(child)) throw new Error('it has no process id');
    // Short of memory, the kernel should end functions before the server.
    writeFile(`/proc/${child.pid}/oom_score_adj`, '500').catch(() => {});
    return child;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EbbError('ENGINE_FAILED', `the process of instance "${id}" cannot be started: ${reason}`, {
      cause: error,
    });
  } finally {
    if (files) {
      closeSync(files.stdout);
      closeSync(files.stderr);
    }
  }
}

function hasPid(child: ChildProcess): child is ChildProcess & { readonly pid: number } {
  return child.pid !== undefined;
}
