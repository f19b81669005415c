import { createHash, hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { CodeFile } from './list-files.ts';

/** Digests of files by path, kept between two looks at the same directory. */
export type DigestCache = Map<string, { readonly stamp: string; readonly digest: string }>;

/**
 * A digest over paths, content and executable bits: equal means there is nothing new to upload. Only files whose size
 * or time differs from what the cache knows are read.
 */
export async function digestFiles(files: readonly CodeFile[], cache: DigestCache = new Map()): Promise<string> {
  const total = createHash('sha256');
  for (const file of files) {
    const stamp = `${file.source} ${file.sizeBytes} ${file.modifiedAt}`;
    let known = cache.get(file.path);
    if (known?.stamp !== stamp) {
      known = { stamp, digest: hash('sha256', await readFile(file.source)) };
      cache.set(file.path, known);
    }
    total.update(`${JSON.stringify(file.path)} ${file.isExecutable ? 'x' : '-'} ${known.digest}\n`);
  }
  return total.digest('hex');
}
