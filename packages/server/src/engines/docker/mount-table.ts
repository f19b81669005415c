import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EbbError } from '../../core/errors.ts';
import { createMountShell, type MountShell } from './mount-shell.ts';

/** Directories kept ready to be shown to instances; the ones used longest ago go first. */
const MAX_STAGED = 64;

/** What a {@link MountTable} is made with. */
export interface MountTableOptions {
  /** Absolute directory of instance directories. */
  readonly runDir: string;
  /** Default: one that runs the host's `mount`. */
  readonly shell?: MountShell;
}

/** Shows directories of the host to containers that run already. */
export interface MountTable {
  /**
   * Makes what is mounted below the run directory later appear in containers, once. Says in half a sentence why that
   * cannot be done, or undefined when it can. Never throws.
   */
  open(): Promise<string | undefined>;
  /** What {@link open} said, or is likely to say while nobody has called it; changes nothing. */
  foresee(): Promise<string | undefined>;
  /** Has {@link open} say from now on that it cannot be done: the engine refused what was to be seen in containers. */
  deny(reason: string): void;
  /**
   * Mounts a directory of the host on one below the run directory: read-only, without setuid programs and devices, for
   * containers as well as for the host. What is asked for in different lanes is done at the same time. Throws
   * ENGINE_FAILED.
   */
  attach(source: string, target: string, lane?: 'first' | 'second'): Promise<void>;
  /** Takes away whatever is mounted below a directory. Throws ENGINE_FAILED when something stays. */
  detach(directory: string): Promise<void>;
  /** Takes everything away, unless instances still use it. */
  close(): Promise<void>;
}

/**
 * The mounts of an installation. A directory is staged first: bound below `staged/` and made read-only there, because a
 * mount that is made read-only later is not so in containers that got it before. What instances get is a copy of that.
 */
export function createMountTable(options: MountTableOptions): MountTable {
  const { runDir } = options;
  // Two, because a spare gets two directories at once.
  const shell = options.shell ?? createMountShell();
  const second = options.shell ?? createMountShell();
  const parent = join(runDir, 'staged');
  const staged = new Map<string, Promise<string>>();
  let opening: Promise<string | undefined> | undefined;

  function obstacle(): string | undefined {
    if (process.platform !== 'linux') return 'the host is not Linux';
    return process.getuid?.() === 0 ? undefined : 'the server does not run as root, so it may not mount';
  }

  async function open(): Promise<string | undefined> {
    const found = obstacle();
    if (found !== undefined) return found;
    try {
      const points = await mountPoints();
      // What an earlier server staged may be of code that is gone.
      for (const point of points.filter((path) => path.startsWith(`${parent}/`))) await shell.unmount(point);
      await mkdir(parent, { recursive: true, mode: 0o700 });
      if (!points.includes(runDir)) await shell.share(runDir);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async function stageNow(source: string): Promise<string> {
    const path = join(parent, createHash('sha256').update(source).digest('hex').slice(0, 32));
    await mkdir(path, { recursive: true, mode: 0o700 });
    await shell.stage(source, path);
    return path;
  }

  function stage(source: string): Promise<string> {
    const known = staged.get(source);
    staged.delete(source);
    const path =
      known ??
      stageNow(source).catch((error: unknown) => {
        staged.delete(source);
        throw error;
      });
    staged.set(source, path);
    const [oldest] = staged;
    if (oldest && staged.size > MAX_STAGED) {
      staged.delete(oldest[0]);
      // What instances have is a mount of its own and stays.
      void oldest[1].then((old) => shell.unmount(old)).catch(() => {});
    }
    return path;
  }

  async function unstage(source: string): Promise<void> {
    const path = await staged.get(source)?.catch(() => undefined);
    staged.delete(source);
    if (path !== undefined) await shell.unmount(path).catch(() => {});
  }

  async function detach(directory: string): Promise<void> {
    const points = (await mountPoints()).filter((path) => path === directory || path.startsWith(`${directory}/`));
    for (const point of points.toReversed()) await shell.unmount(point);
  }

  return {
    open: () => (opening ??= open()),
    foresee: async () => (opening === undefined ? obstacle() : opening),
    deny(reason) {
      opening = Promise.resolve(reason);
    },
    async attach(source, target, lane = 'first') {
      try {
        const table = lane === 'first' ? shell : second;
        const known = staged.has(source);
        try {
          await table.bind(await stage(source), target);
        } catch (error) {
          if (!known) throw error;
          // What was staged may have been removed since, and the same code stored anew.
          await unstage(source);
          await table.bind(await stage(source), target);
        }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new EbbError('ENGINE_FAILED', `code cannot be shown to an instance: ${reason}`, { cause: error });
      }
    },
    detach,
    async close() {
      await detach(parent);
      await removeEmpty(parent);
      const points = await mountPoints();
      if (!points.some((path) => path.startsWith(`${runDir}/`)) && points.includes(runDir)) {
        // Instances that live on keep their mounts, and the directory with them.
        await shell.unmount(runDir).catch(() => {});
      }
      for (const each of [shell, second]) each[Symbol.dispose]();
    },
  };
}

/** Removes a directory of empty directories; never what is in one, which might be somebody's code. */
async function removeEmpty(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) await rmdir(join(parent, name)).catch(() => {});
  await rmdir(parent).catch(() => {});
}

/** Every place something is mounted on, in the order of mounting (proc(5), mountinfo). */
export async function mountPoints(): Promise<readonly string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => (line.split(' ')[4] ?? '').replaceAll(/\\([0-7]{3})/g, (_all, code: string) => unescape(code)));
}

function unescape(octal: string): string {
  return String.fromCodePoint(Number.parseInt(octal, 8));
}
