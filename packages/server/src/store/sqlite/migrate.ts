import type { DatabaseSync } from 'node:sqlite';
import { SchemaError } from './describe-failure.ts';

/** Steps of the schema, oldest first; step n leads to version n + 1. A released step is never edited. */
const STEPS: readonly string[] = [
  `CREATE TABLE entries (
     key TEXT PRIMARY KEY NOT NULL,
     value TEXT NOT NULL,
     version INTEGER NOT NULL,
     checksum INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID`,
];

/** Brings the schema to the newest version in one transaction. Throws SchemaError for a file of a newer server. */
export function migrate(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT');
    const row = database.prepare('SELECT version FROM schema_version').get();
    const version = typeof row?.['version'] === 'number' ? row['version'] : 0;
    if (version > STEPS.length) {
      throw new SchemaError(
        `was written by a newer server (schema ${version}, this one knows ${STEPS.length}); start that version again`,
      );
    }
    for (const step of STEPS.slice(version)) database.exec(step);
    if (version < STEPS.length) {
      database.exec('DELETE FROM schema_version');
      database.prepare('INSERT INTO schema_version (version) VALUES (?)').run(STEPS.length);
    }
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
