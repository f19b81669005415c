import { chmod, mkdir, mkdtemp, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { CodeResource } from '@ebb/contract';
import { type Clock, systemClock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import { createLane } from '../core/lane.ts';
import type { CodeStore } from '../core/ports.ts';
import { compareTrees } from './compare-trees.ts';
import { type CodeLimits, DEFAULT_CODE_LIMITS } from './code-limits.ts';
import { receiveArchive } from './receive-archive.ts';
import { unpack } from './unpack.ts';

/** Where code is kept and how much an archive may hold. */
export interface CodeStoreOptions {
  /** Folder of its own; made when absent. */
  readonly directory: string;
  readonly limits?: CodeLimits;
  readonly clock?: Clock;
}

/** Archives unpacked at once; each takes a core. Others wait, received but packed. */
const UNPACKING = 2;

const HEX = /^[0-9a-f]{64}$/;
const DIGEST = /^sha256:([0-9a-f]{64})$/;
/** What is unfinished or being removed has a name that starts so; a start removes what a crash left. */
const UNFINISHED = '.unfinished-';

/** Opens the store of uploaded code and removes what an earlier server left unfinished. Throws STORE_FAILED. */
export async function createCodeStore(options: CodeStoreOptions): Promise<CodeStore> {
  const { limits = DEFAULT_CODE_LIMITS, clock = systemClock } = options;
  const root = resolve(options.directory);
  const lane = createLane({ running: UNPACKING });
  // What is stored changes one step at a time, so that a sweep takes nothing away that an upload has just found.
  const change = createLane({ running: 1 });
  const stored = await guarded(() => openRoot(root));

  const pathOf = (digest: string): string => {
    const hex = DIGEST.exec(digest)?.[1];
    if (hex !== undefined && stored.has(hex)) return join(root, hex);
    throw new EbbError('CODE_NOT_FOUND', `there is no code ${digest.slice(0, 80)}; upload it first`);
  };

  const keep = async (tree: string, hex: string): Promise<void> => {
    const path = join(root, hex);
    const now = clock.now() / 1000;
    if (!stored.has(hex)) {
      await chmod(tree, 0o755);
      await rename(tree, path).catch((error: unknown) => {
        // Another upload of the same content was first.
        if (!hasCode(error, 'ENOTEMPTY') && !hasCode(error, 'EEXIST')) throw error;
      });
      await syncFolder(root);
      stored.add(hex);
    }
    // The age of code counts from its last upload, so that a sweep leaves it to the deploy that follows.
    await utimes(path, now, now);
  };

  /** Removes code that is older; says whether it did. */
  const remove = async (hex: string, minAgeMs: number): Promise<boolean> => {
    if (!stored.has(hex)) return false;
    const path = join(root, hex);
    const { mtimeMs } = await stat(path);
    if (clock.now() - mtimeMs < minAgeMs) return false;
    stored.delete(hex);
    const work = await mkdtemp(join(root, UNFINISHED));
    await rename(path, join(work, 'tree'));
    await rm(work, { recursive: true, force: true });
    return true;
  };

  return {
    async put(archive, format, signal): Promise<CodeResource> {
      const work = await guarded(() => mkdtemp(join(root, UNFINISHED)));
      try {
        const file = join(work, 'archive');
        const tree = join(work, 'tree');
        const archiveBytes = await receiveArchive(archive, file, limits.archiveBytes, signal);
        await guarded(() => mkdir(tree, { mode: 0o700 }));
        const task = { archive: file, archiveBytes, format, root: tree, limits };
        const { hex, sizeBytes, files } = await lane(() => unpack(task, signal));
        await change(() => guarded(() => keep(tree, hex)));
        return { digest: `sha256:${hex}`, sizeBytes, files };
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },

    has: (digest) => stored.has(DIGEST.exec(digest)?.[1] ?? ''),

    directory: pathOf,

    async compare(before, after) {
      if (before === after) return { added: [], removed: [], changed: [], omitted: 0 };
      const [left, right] = [pathOf(before), pathOf(after)];
      return guarded(() => compareTrees(left, right));
    },

    async sweep(inUse, minAgeMs) {
      const removed: string[] = [];
      for (const hex of stored) {
        const digest = `sha256:${hex}`;
        if (inUse.has(digest)) continue;
        if (await change(() => guarded(() => remove(hex, minAgeMs)))) removed.push(digest);
      }
      return removed;
    },
  };
}

async function openRoot(root: string): Promise<Set<string>> {
  await mkdir(root, { recursive: true, mode: 0o755 });
  const names = await readdir(root);
  const left = names.filter((name) => name.startsWith(UNFINISHED));
  await Promise.all(left.map((name) => rm(join(root, name), { recursive: true, force: true })));
  return new Set(names.filter((name) => HEX.test(name)));
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/** Turns errors of the file system into STORE_FAILED. */
async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new EbbError('STORE_FAILED', `uploaded code cannot be kept in the data directory: ${words}`, { cause });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
