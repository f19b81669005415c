import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceLabels } from './engine.ts';

/** Versions whose compiled code is kept; the ones used longest ago go first. */
const MAX_VERSIONS = 100;

/**
 * The directory in which instances of one version keep compiled code for the next ones (NODE_COMPILE_CACHE), made if
 * need be. It spares a TypeScript handler most of its start. What an instance writes there only instances of the same
 * version read, so a function cannot reach another one through it. Undefined when it cannot be made: starts are
 * then slower, nothing more.
 */
export async function openCompileCache(runDir: string, labels: InstanceLabels): Promise<string | undefined> {
  const parent = join(runDir, 'compiled');
  const directory = join(parent, `${labels.namespace}.${labels.function}.${labels.version}`);
  try {
    const isNew = (await mkdir(directory, { recursive: true, mode: 0o700 })) !== undefined;
    if (isNew) await removeOldest(parent);
    return directory;
  } catch {
    return undefined;
  }
}

async function removeOldest(parent: string): Promise<void> {
  const names = await readdir(parent);
  if (names.length <= MAX_VERSIONS) return;
  const aged = await Promise.all(
    names.map(async (name) => ({ path: join(parent, name), usedAt: (await stat(join(parent, name))).mtimeMs })),
  );
  const oldest = aged.sort((a, b) => a.usedAt - b.usedAt).slice(0, names.length - MAX_VERSIONS);
  await Promise.all(oldest.map(({ path }) => rm(path, { recursive: true, force: true })));
}
