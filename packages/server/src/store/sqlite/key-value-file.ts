import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { CommitResult, Entry, Write } from '../key-value.ts';
import { DamageError } from './describe-failure.ts';
import type { FileConnection, FileFormat } from './open-file.ts';
import { prefixEnd } from './prefix-end.ts';

/** One operation as the worker thread gets it. */
export type KeyValueOperation =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'list'; readonly prefix: string }
  | { readonly kind: 'commit'; readonly writes: readonly Write[] };

/** What one operation came to. */
export type KeyValueResult =
  | { readonly kind: 'entry'; readonly entry: Entry | undefined }
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  | { readonly kind: 'committed'; readonly result: CommitResult };

const SCHEMA: readonly string[] = [
  `CREATE TABLE entries (
     key TEXT PRIMARY KEY NOT NULL,
     value TEXT NOT NULL,
     version INTEGER NOT NULL,
     checksum INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID`,
];

/** The file of a durable map. */
export const KEY_VALUE_FILE: FileFormat<KeyValueOperation, KeyValueResult> = {
  schema: SCHEMA,
  isWrite: ({ kind }) => kind === 'commit',
  connect,
};

function connect(database: DatabaseSync): FileConnection<KeyValueOperation, KeyValueResult> {
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

  const get = (key: string): Entry | undefined => {
    const row = select.get(key);
    return row === undefined ? undefined : asEntry(row);
  };

  const list = (prefix: string): readonly Entry[] => {
    const end = prefixEnd(prefix);
    const rows = end === undefined ? selectFrom.all(prefix) : selectRange.all(prefix, end);
    // SQLite orders by code points; the promise is code units, which differs beyond the basic plane.
    return rows.map(asEntry).sort((left, right) => (left.key < right.key ? -1 : 1));
  };

  const commit = (writes: readonly Write[]): CommitResult => {
    database.exec('SAVEPOINT one');
    for (const write of writes) {
      if (apply(write)) continue;
      database.exec('ROLLBACK TO one; RELEASE one');
      return { kind: 'conflict', key: write.key };
    }
    database.exec('RELEASE one');
    return { kind: 'committed' };
  };

  return {
    perform(operation) {
      switch (operation.kind) {
        case 'get':
          return { kind: 'entry', entry: get(operation.key) };
        case 'list':
          return { kind: 'entries', entries: list(operation.prefix) };
        case 'commit':
          return { kind: 'committed', result: commit(operation.writes) };
      }
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
