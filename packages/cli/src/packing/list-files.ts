import { readdirSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import ignore, { type Ignore } from 'ignore';
import { CliError } from '../core/cli-error.ts';

/** A file that belongs to a function's code. */
export interface CodeFile {
  /** Path inside the code directory, with `/`. */
  readonly path: string;
  /** Absolute path of the plain file the bytes are in. */
  readonly source: string;
  readonly sizeBytes: number;
  readonly isExecutable: boolean;
  readonly modifiedAt: number;
}

/** Name of the file that says what is left out, written like `.gitignore`. */
const IGNORE_FILE = '.ebbignore';

const ALWAYS_IGNORED = ['.git', '.ebb', IGNORE_FILE];

interface Walk {
  readonly root: string;
  readonly matcher: Ignore;
  readonly files: CodeFile[];
}

/** What decides which paths of a code directory are left out. */
export function readIgnoreRules(directory: string): Ignore {
  const matcher = ignore().add(ALWAYS_IGNORED);
  try {
    return matcher.add(readFileSync(join(directory, IGNORE_FILE), 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return matcher;
    throw new CliError('FILE_FAILED', `${join(directory, IGNORE_FILE)} cannot be read`, { cause: error });
  }
}

/**
 * The files of a code directory, by path. `.git`, `.ebb` and what `.ebbignore` names are left out; links to something
 * inside the directory become the plain files they point to. Throws INPUT_INVALID for links that leave it, lead in a
 * circle or nowhere, and for anything that is neither file nor folder; FILE_FAILED when it cannot be read.
 */
export function listFiles(directory: string): readonly CodeFile[] {
  let root: string;
  try {
    root = realpathSync(directory);
    if (!statSync(root).isDirectory()) throw new CliError('FILE_FAILED', `${directory} is not a directory`);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError('FILE_FAILED', `the code directory ${directory} does not exist`, { cause: error });
  }
  const walk: Walk = { root, matcher: readIgnoreRules(root), files: [] };
  visitDirectory(walk, root, '', [root]);
  return walk.files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function visitDirectory(walk: Walk, source: string, prefix: string, parents: readonly string[]): void {
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    const path = `${prefix}${entry.name}`;
    if (walk.matcher.ignores(entry.isDirectory() ? `${path}/` : path)) continue;
    const target = entry.isSymbolicLink() ? followLink(walk, join(source, entry.name), path) : join(source, entry.name);
    const stats = statSync(target);
    if (stats.isDirectory()) {
      if (entry.isSymbolicLink() && walk.matcher.ignores(`${path}/`)) continue;
      if (parents.includes(target)) {
        throw new CliError('INPUT_INVALID', `${path} in ${walk.root} is a link to a folder it is in; ${advice(path)}`);
      }
      visitDirectory(walk, target, `${path}/`, [...parents, target]);
    } else {
      walk.files.push(toFile(walk, path, target, stats));
    }
  }
}

function followLink(walk: Walk, link: string, path: string): string {
  let target: string;
  try {
    target = realpathSync(link);
  } catch (error) {
    throw new CliError('INPUT_INVALID', `${path} in ${walk.root} is a link to nothing; ${advice(path)}`, {
      cause: error,
    });
  }
  if (target === walk.root || target.startsWith(walk.root + sep)) return target;
  throw new CliError(
    'INPUT_INVALID',
    `${path} in ${walk.root} is a link to ${target}, which is outside; copy it in, or ${advice(path)}`,
  );
}

function toFile(walk: Walk, path: string, source: string, stats: Stats): CodeFile {
  if (!stats.isFile()) {
    throw new CliError('INPUT_INVALID', `${path} in ${walk.root} is neither a file nor a folder; ${advice(path)}`);
  }
  return {
    path,
    source,
    sizeBytes: stats.size,
    isExecutable: (stats.mode & 0o111) !== 0,
    modifiedAt: stats.mtimeMs,
  };
}

function advice(path: string): string {
  return `leave it out with a line "/${path}" in ${IGNORE_FILE}`;
}
