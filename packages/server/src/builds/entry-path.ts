/** A name in an archive, taken apart, or why it is refused; the reason ends a sentence that names the entry. */
export type EntryPath =
  | { readonly kind: 'path'; readonly segments: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string };

/** Deepest folder a file may be in. */
export const MAX_DEPTH = 32;
const MAX_SEGMENT_BYTES = 255;
const MAX_PATH_BYTES = 1024;

/**
 * Takes the name of an archive's entry apart. What comes out is safe to join to a folder on any system: no segment
 * is empty, `.` or `..`, none holds a separator or a control character. A leading `./` and one trailing `/` are
 * left out; `./` alone is the root, without segments.
 */
export function parseEntryPath(name: string): EntryPath {
  const refused = (reason: string): EntryPath => ({ kind: 'refused', reason });
  if (name === '') return refused('has no name');
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(name)) return refused('has a control character in its name');
  if (!name.isWellFormed() || name.includes('\ufffd')) return refused('has a name that is not valid text');
  if (name.includes('\\')) return refused('has a backslash in its name; use "/" between folders');
  if (name.startsWith('/')) return refused('is an absolute path; paths must be inside the folder');
  if (Buffer.byteLength(name) > MAX_PATH_BYTES) return refused(`has a path longer than ${MAX_PATH_BYTES} bytes`);

  const inner = name.replace(/^\.\//, '').replace(/\/$/, '');
  if (inner === '' || inner === '.') return { kind: 'path', segments: [] };
  const segments = inner.split('/');
  if (segments.includes('..')) return refused('leads out of the folder with ".."');
  if (segments.includes('.') || segments.includes('')) return refused('has an empty or "." part in its path');
  if (segments.some((segment) => /^[A-Za-z]:/.test(segment))) return refused('has a drive letter in its path');
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)) {
    return refused(`has a name longer than ${MAX_SEGMENT_BYTES} bytes`);
  }
  if (segments.length > MAX_DEPTH) return refused(`is more than ${MAX_DEPTH} folders deep`);
  return { kind: 'path', segments };
}
