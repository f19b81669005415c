import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync } from 'node:fs';

/** From so many paths on, flushing the file system as a whole is faster than one path after the other. */
const MANY_PATHS = 64;

/** Brings files and folders to the disk; blocks until they are there. */
export function syncTree(root: string, paths: readonly string[]): void {
  if (paths.length >= MANY_PATHS && syncFileSystem(root)) return;
  for (const path of [...paths, root]) syncPath(path);
}

/** Flushes the file system that holds `path`, which Node cannot do itself; false where there is no such command. */
function syncFileSystem(path: string): boolean {
  return spawnSync('sync', ['-f', path], { stdio: 'ignore' }).status === 0;
}

function syncPath(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
