import type { Failure } from './protocol.ts';

const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** Content of the file that contradicts itself. */
export class DamageError extends Error {}

/** The file has a schema this server does not know. */
export class SchemaError extends Error {}

/** Whether after this error the file must be opened and checked again before anything is written to it. */
export function leavesFileInDoubt(error: unknown): boolean {
  const code = primaryCode(error);
  return code === SQLITE_IOERR || code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** One sentence on what failed and what to do next. */
export function describeFailure(path: string, error: unknown): Failure {
  const cause = error instanceof Error ? error.message : String(error);
  if (primaryCode(error) === SQLITE_BUSY) {
    return {
      kind: 'failed',
      code: 'DATA_DIR_IN_USE',
      message: `${path} is open in another running server; stop that one, or choose another directory with --data-dir`,
      cause,
    };
  }
  const code = isFull(error) ? 'STORAGE_FULL' : 'STORE_FAILED';
  return { kind: 'failed', code, message: `${path} ${sentence(error, cause)}`, cause };
}

function sentence(error: unknown, cause: string): string {
  const code = primaryCode(error);
  if (error instanceof SchemaError) return cause;
  if (error instanceof DamageError || code === SQLITE_CORRUPT || code === SQLITE_NOTADB) {
    return `is damaged (${cause}); nothing in it was changed: put back a backup, or move the file away to start empty`;
  }
  if (isFull(error)) return 'could not be written because the disk is full; free some space';
  if (code === SQLITE_READONLY) return 'cannot be written; give the user of the server write permission on it';
  if (code === SQLITE_CANTOPEN || nodeCode(error)) {
    return `cannot be opened (${cause}); check that its folder is there and belongs to the user of the server`;
  }
  return `could not be read or written (${cause}); check the disk it is on`;
}

function isFull(error: unknown): boolean {
  return primaryCode(error) === SQLITE_FULL || (error instanceof Error && 'code' in error && error.code === 'ENOSPC');
}

/** The low byte of SQLite's extended code: https://www.sqlite.org/rescode.html */
function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

function nodeCode(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z]+$/.test(error.code);
}
