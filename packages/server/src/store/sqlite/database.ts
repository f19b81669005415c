import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { CommitResult, Entry, Write } from '../key-value.ts';
import { countLostCommits } from './count-lost-commits.ts';
import { DamageError, describeFailure, leavesFileInDoubt } from './describe-failure.ts';
import { migrate } from './migrate.ts';
import { prefixEnd } from './prefix-end.ts';
import type { Operation, Outcome } from './protocol.ts';

/** Files up to this size are checked as a whole when they are opened; it takes milliseconds. */
const CHECKED_BYTES = 64 * 2 ** 20;

/** The database file as the worker thread uses it; everything here blocks. */
export interface Database {
  /** Does the operations in order; all commits among them share one transaction and one fsync. */
  run(operations: readonly Operation[]): Outcome[];
  close(): void;
}

interface Connection {
  readonly database: DatabaseSync;
  get(key: string): Entry | undefined;
  list(prefix: string): Entry[];
  commit(writes: readonly Write[]): CommitResult;
}

/** Opens the file, checks it and brings its schema up to date. Throws what `describeFailure` can describe. */
export function openDatabase(path: string): Database {
  createPrivately(path);
  let connection: Connection | undefined = connect(path);

  /** After an I/O error nothing is acknowledged before the file was opened and checked anew. */
  const connected = (): Connection => (connection ??= connect(path));
  const drop = (): void => {
    const doubtful = connection;
    connection = undefined;
    try {
      doubtful?.database.close();
    } catch {
      // The file is in doubt anyway; the next open says what is wrong with it.
    }
  };

  const run = (operations: readonly Operation[]): Outcome[] => {
    try {
      const current = connected();
      const all = (): Outcome[] => operations.map((operation) => perform(path, current, operation));
      return operations.some(({ kind }) => kind === 'commit') ? inTransaction(current, all) : all();
    } catch (error) {
      const inDoubt = leavesFileInDoubt(error);
      if (inDoubt) drop();
      const failure = describeFailure(path, error);
      if (operations.length === 1) return [failure];
      // One commit must not take others down with it, and reads go on; but an I/O error is never retried for a commit.
      return operations.flatMap((operation) => (inDoubt && operation.kind === 'commit' ? failure : run([operation])));
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

function perform(path: string, connection: Connection, operation: Operation): Outcome {
  if (operation.kind === 'commit') return { kind: 'committed', result: connection.commit(operation.writes) };
  try {
    return operation.kind === 'get'
      ? { kind: 'entry', entry: connection.get(operation.key) }
      : { kind: 'entries', entries: connection.list(operation.prefix) };
  } catch (error) {
    if (error instanceof DamageError) return describeFailure(path, error);
    throw error;
  }
}

function inTransaction<T>({ database }: Connection, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    rollBack(database);
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

function connect(path: string): Connection {
  checkLog(`${path}-wal`);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Exclusive: a second process is told so at once, and the index of the log stays in memory.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    if (statSync(path).size <= CHECKED_BYTES) check(database);
    migrate(database);
    return prepare(database);
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

function prepare(database: DatabaseSync): Connection {
  const select = database.prepare('SELECT key, value, version, checksum FROM entries WHERE key = ?');
  const selectRange = database.prepare('SELECT key, value, version, checksum FROM entries WHERE key >= ? AND key < ?');
  const selectFrom = database.prepare('SELECT key, value, version, checksum FROM entries WHERE key >= ?');
  const selectVersion = database.prepare('SELECT version FROM entries WHERE key = ?');
  const upsert = database.prepare('INSERT OR REPLACE INTO entries (key, value, version, checksum) VALUES (?, ?, ?, ?)');
  const remove = database.prepare('DELETE FROM entries WHERE key = ?');

  const versionOf = (key: string): number => Number(selectVersion.get(key)?.['version'] ?? 0);

  const apply = (write: Write): boolean => {
    const version = versionOf(write.key);
    if (write.ifVersion !== undefined && write.ifVersion !== version) return false;
    if (write.kind === 'delete') remove.run(write.key);
    else upsert.run(write.key, write.value, version + 1, checksum(write.key, write.value, version + 1));
    return true;
  };

  return {
    database,
    get(key) {
      const row = select.get(key);
      return row === undefined ? undefined : asEntry(row);
    },
    list(prefix) {
      const end = prefixEnd(prefix);
      const rows = end === undefined ? selectFrom.all(prefix) : selectRange.all(prefix, end);
      // SQLite orders by code points; the promise is code units, which differs beyond the basic plane.
      return rows.map(asEntry).sort((left, right) => (left.key < right.key ? -1 : 1));
    },
    commit(writes) {
      database.exec('SAVEPOINT one');
      for (const write of writes) {
        if (apply(write)) continue;
        database.exec('ROLLBACK TO one; RELEASE one');
        return { kind: 'conflict', key: write.key };
      }
      database.exec('RELEASE one');
      return { kind: 'committed' };
    },
  };
}

function asEntry(row: Record<string, unknown>): Entry {
  const { key, value, version } = row;
  if (
    typeof key !== 'string' ||
    typeof value !== 'string' ||
    typeof version !== 'number' ||
    row['checksum'] !== checksum(key, value, version)
  ) {
    throw new DamageError(`the entry "${String(key)}" does not match its checksum`);
  }
  return { key, value, version };
}

/** SQLite guards its log but not its pages with checksums, so a flipped bit is found by our own. */
function checksum(key: string, value: string, version: number): number {
  return crc32(`${version}\0${key}\0${value}`);
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
