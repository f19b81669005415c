import { createHash } from 'node:crypto';

/** A file of a tree, as far as it makes a difference to what runs. */
export interface FileFacts {
  /** Path inside the tree, with "/" and without control characters. */
  readonly path: string;
  readonly executable: boolean;
  /** SHA-256 of the content in hexadecimal. */
  readonly sha256: string;
}

/**
 * Digest of a tree, 64 hexadecimal digits: over paths, executable bits and contents in the order of paths, and over
 * empty folders. Owners, times and the order in an archive do not matter.
 */
export function contentDigest(files: readonly FileFacts[], emptyFolders: readonly string[]): string {
  const lines = [
    ...files.map(({ path, executable, sha256 }) => `${path}\0${executable ? 'x' : '-'}\0${sha256}\n`),
    ...emptyFolders.map((path) => `${path}\0d\n`),
  ];
  const hash = createHash('sha256').update('ebb code 1\n');
  for (const line of lines.sort()) hash.update(line);
  return hash.digest('hex');
}
