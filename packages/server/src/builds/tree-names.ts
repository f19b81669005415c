/** What adding a name came to: the folders that must be made first, or why the name is refused. */
export type NameOutcome =
  | { readonly kind: 'added'; readonly newFolders: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string };

/** The names in a tree so far. */
export interface TreeNames {
  /** Adds a file or folder by its path; a folder that is there already is fine, a second file is not. */
  add(segments: readonly string[], kind: 'file' | 'folder'): NameOutcome;
  /** Folders in which nothing was put, in no order. */
  emptyFolders(): readonly string[];
}

type OneOutcome = { readonly kind: 'new' | 'present' } | { readonly kind: 'refused'; readonly reason: string };

interface Known {
  readonly path: string;
  readonly kind: 'file' | 'folder';
  empty: boolean;
}

/**
 * Keeps the names of a tree apart: one name for one thing, also where the file system folds case or Unicode forms,
 * so that the same archive means the same on every system.
 */
export function createTreeNames(): TreeNames {
  const known = new Map<string, Known>();

  const addOne = (path: string, kind: 'file' | 'folder', isLast: boolean): OneOutcome => {
    const key = fold(path);
    const other = known.get(key);
    if (!other) {
      known.set(key, { path, kind, empty: true });
      return { kind: 'new' };
    }
    if (other.path !== path) return refused(`differs from "${other.path}" only by case or Unicode form`);
    if (other.kind !== kind) return refused('is both a file and a folder');
    return kind === 'file' && isLast ? refused('is there twice') : { kind: 'present' };
  };

  return {
    add(segments, kind) {
      const newFolders: string[] = [];
      let path = '';
      for (const [index, segment] of segments.entries()) {
        const parent = known.get(fold(path));
        path = path === '' ? segment : `${path}/${segment}`;
        const isLast = index === segments.length - 1;
        const ownKind = isLast ? kind : 'folder';
        const outcome = addOne(path, ownKind, isLast);
        if (outcome.kind === 'refused') return outcome;
        if (parent) parent.empty = false;
        if (outcome.kind === 'new' && ownKind === 'folder') newFolders.push(path);
      }
      return { kind: 'added', newFolders };
    },

    emptyFolders: () =>
      [...known.values()].filter(({ kind, empty }) => kind === 'folder' && empty).map(({ path }) => path),
  };
}

function refused(reason: string): { readonly kind: 'refused'; readonly reason: string } {
  return { kind: 'refused', reason };
}

function fold(path: string): string {
  return path.normalize('NFC').toLowerCase().normalize('NFC');
}
