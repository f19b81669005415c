import { hash } from 'node:crypto';
// The thread that unpacks is made for one archive: all of the contract would cost it more than the archive does.
import { contentText, type FileFacts } from '@ebb/contract/content-text';

/** Digest of a tree, 64 hexadecimal digits; see {@link contentText}. */
export function contentDigest(files: readonly FileFacts[], emptyFolders: readonly string[]): string {
  return hash('sha256', contentText(files, emptyFolders));
}
