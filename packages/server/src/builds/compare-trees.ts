import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { FileChanges } from '@ebb/contract';

/** Most paths that are listed; of the rest only the number is told. */
const LISTED_FILES = 1000;

interface FileOutline {
  readonly sizeBytes: number;
  readonly isExecutable: boolean;
}

/**
 * What differs between two trees of plain files, by path and content. Only files that are in both with the same size
 * are read.
 */
export async function compareTrees(before: string, after: string): Promise<FileChanges> {
  const [left, right] = await Promise.all([outline(before), outline(after)]);
  const added = [...right.keys()].filter((path) => !left.has(path));
  const removed = [...left.keys()].filter((path) => !right.has(path));
  const changed: string[] = [];
  for (const [path, was] of left) {
    const is = right.get(path);
    if (is && !(await isSame(was, is, join(before, path), join(after, path)))) changed.push(path);
  }
  return shorten({ added: added.toSorted(), removed: removed.toSorted(), changed: changed.toSorted() });
}

async function outline(root: string): Promise<ReadonlyMap<string, FileOutline>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const found = new Map<string, FileOutline>();
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const { size, mode } = await stat(path);
    found.set(relative(root, path).split(sep).join('/'), { sizeBytes: size, isExecutable: (mode & 0o100) !== 0 });
  }
  return found;
}

async function isSame(was: FileOutline, is: FileOutline, before: string, after: string): Promise<boolean> {
  if (was.sizeBytes !== is.sizeBytes || was.isExecutable !== is.isExecutable) return false;
  const [left, right] = await Promise.all([digestOf(before), digestOf(after)]);
  return left === right;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}

function shorten({ added, removed, changed }: Omit<FileChanges, 'omitted'>): FileChanges {
  const all = added.length + removed.length + changed.length;
  let room = LISTED_FILES;
  const take = (paths: string[]): string[] => {
    const taken = paths.slice(0, room);
    room -= taken.length;
    return taken;
  };
  return {
    changed: take(changed),
    added: take(added),
    removed: take(removed),
    omitted: Math.max(0, all - LISTED_FILES),
  };
}
