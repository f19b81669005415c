import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { countLostCommits } from './count-lost-commits.ts';
import { DamageError, describeFailure, leavesFileInDoubt } from './describe-failure.ts';
import { migrate } from './migrate.ts';
import type { Outcome } from './protocol.ts';

/** Files up to this size are checked as a whole when they are opened; it takes milliseconds. */
const CHECKED_BYTES = 64 * 2 ** 20;

/** What is kept in a file, and how. */
export interface FileFormat<Operation, Result, Wire = Operation> {
  /** Steps of the schema, oldest first; step n leads to version n + 1. A released step is never edited. */
  readonly schema: readonly string[];
  /** Settings of a connection that make no difference to what is durable. */
  readonly pragmas?: string | undefined;
  /** The operations of a message, where they are sent in another form. */
  readonly unpack?: ((sent: readonly Wire[]) => readonly Operation[]) | undefined;
  isWrite(operation: Operation): boolean;
  /** Called for every connection, after the schema is up to date. */
  connect(database: DatabaseSync): FileConnection<Operation, Result>;
}

/** A format at work on an open file. */
export interface FileConnection<Operation, Result> {
  /** Does one operation; writes are inside of a transaction, and see what those before wrote in it. */
  readonly perform: (operation: Operation) => Result;
  /** A transaction was rolled back: what is kept in memory of the file may be wrong. */
  rolledBack?(): void;
}

/** The database file as the worker thread uses it; everything here blocks. */
export interface OpenFile<Operation, Result> {
  /** Does the operations in order; all writes among them share one transaction and one fsync. */
  run(operations: readonly Operation[]): Outcome<Result>[];
  close(): void;
}

interface Connected<Operation, Result> extends FileConnection<Operation, Result> {
  readonly database: DatabaseSync;
}

/** Opens the file, checks it and brings its schema up to date. Throws what `describeFailure` can describe. */
export function openFile<Operation, Result>(
  path: string,
  format: Omit<FileFormat<Operation, Result>, 'unpack'>,
): OpenFile<Operation, Result> {
  createPrivately(path);
  let connection: Connected<Operation, Result> | undefined = connect(path, format);

  /** After an I/O error nothing is acknowledged before the file was opened and checked anew. */
  const connected = () => (connection ??= connect(path, format));
  const drop = (): void => {
    const doubtful = connection;
    connection = undefined;
    try {
      doubtful?.database.close();
    } catch {
      // The file is in doubt anyway; the next open says what is wrong with it.
    }
  };

  const run = (operations: readonly Operation[]): Outcome<Result>[] => {
    try {
      const current = connected();
      const all = () => operations.map((operation) => perform(path, current, operation, format.isWrite(operation)));
      return operations.some((operation) => format.isWrite(operation)) ? inTransaction(current, all) : all();
    } catch (error) {
      const inDoubt = leavesFileInDoubt(error);
      if (inDoubt) drop();
      const failure = describeFailure(path, error);
      if (operations.length === 1) return [failure];
      // One write must not take others down with it, and reads go on; but an I/O error is never retried for a write.
      return operations.flatMap((operation) => (inDoubt && format.isWrite(operation) ? failure : run([operation])));
    }
  };

  return {
    run,
    close() {
      connection?.database.close();
      connection = undefined;
    },
  };
}

function perform<Operation, Result>(
  path: string,
  connection: FileConnection<Operation, Result>,
  operation: Operation,
  isWrite: boolean,
): Outcome<Result> {
  if (isWrite) return { kind: 'done', result: connection.perform(operation) };
  try {
    return { kind: 'done', result: connection.perform(operation) };
  } catch (error) {
    if (error instanceof DamageError) return describeFailure(path, error);
    throw error;
  }
}

function inTransaction<T>(connection: Connected<never, unknown>, work: () => T): T {
  const { database } = connection;
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    rollBack(database);
    if (!leavesFileInDoubt(error)) connection.rolledBack?.();
    throw error;
  }
}

/** Leaves the transaction if SQLite has not done so itself; what failed before is what matters to the caller. */
function rollBack(database: DatabaseSync): void {
  try {
    if (database.isTransaction) database.exec('ROLLBACK');
  } catch {
    // The connection is dropped for the same reason that made this fail.
  }
}

function connect<Operation, Result>(
  path: string,
  format: Pick<FileFormat<Operation, Result>, 'schema' | 'pragmas' | 'connect'>,
): Connected<Operation, Result> {
  checkLog(`${path}-wal`);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Exclusive: a second process is told so at once, and the index of the log stays in memory. Before anything reads the
    // file, or that index is a file as well, for which a full disk has no space.
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    if (format.pragmas !== undefined) database.exec(format.pragmas);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    if (statSync(path).size <= CHECKED_BYTES) check(database);
    migrate(database, format.schema);
    return { ...format.connect(database), database };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite reads its log up to the first damaged frame and forgets the rest; that must not pass for a clean start. */
function checkLog(path: string): void {
  const lost = countLostCommits(path);
  if (lost > 0) throw new DamageError(`${path} has a damaged part with ${lost} writes behind it`);
}

function check(database: DatabaseSync): void {
  const finding = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (finding !== 'ok') throw new DamageError(String(finding).replaceAll('\n', ' '));
}

/** Makes an absent file readable by the server's user alone; SQLite gives its log the same mode. */
function createPrivately(path: string): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}
