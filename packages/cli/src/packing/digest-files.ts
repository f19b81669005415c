import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { contentText } from '@ebb/contract/content-text';
import type { CodeFile } from './list-files.ts';

/** Digests of files by path, kept between two looks at the same directory. */
export type DigestCache = Map<string, { readonly stamp: string; readonly sha256: string }>;

/**
 * The digest the server gives code of these files, `sha256:` and 64 hexadecimal digits: equal means there is nothing
 * to upload. Only files whose size or time differs from what the cache knows are read.
 */
export async function digestFiles(files: readonly CodeFile[], cache: DigestCache = new Map()): Promise<string> {
  const facts = [];
  for (const { path, source, sizeBytes, modifiedAt, isExecutable } of files) {
    const stamp = `${source} ${sizeBytes} ${modifiedAt}`;
    let known = cache.get(path);
    if (known?.stamp !== stamp) {
      known = { stamp, sha256: hash('sha256', await readFile(source)) };
      cache.set(path, known);
    }
    facts.push({ path, executable: isExecutable, sha256: known.sha256 });
  }
  return `sha256:${hash('sha256', contentText(facts))}`;
}
