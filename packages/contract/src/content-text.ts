/** A file of a tree of code, as far as it makes a difference to what runs. */
export interface FileFacts {
  /** Path inside the tree, with "/" and without control characters. */
  readonly path: string;
  readonly executable: boolean;
  /** SHA-256 of the content in hexadecimal. */
  readonly sha256: string;
}

/**
 * The text whose SHA-256 is the digest of a tree of code: paths, executable bits and contents in the order of paths,
 * and empty folders. Owners, times and the order in an archive do not matter. Client and server both hash it, so that
 * a client knows without an upload whether the server has its code.
 */
export function contentText(files: readonly FileFacts[], emptyFolders: readonly string[] = []): string {
  const lines = [
    ...files.map(({ path, executable, sha256 }) => `${path}\0${executable ? 'x' : '-'}\0${sha256}\n`),
    ...emptyFolders.map((path) => `${path}\0d\n`),
  ];
  return `ebb code 1\n${lines.sort().join('')}`;
}
