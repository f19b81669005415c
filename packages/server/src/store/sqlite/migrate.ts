import type { DatabaseSync } from 'node:sqlite';
import { SchemaError } from './describe-failure.ts';

/** Brings the schema to the newest version, the last of the steps, in one transaction. Throws SchemaError for a file of a newer server. */
export function migrate(database: DatabaseSync, steps: readonly string[]): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT');
    const row = database.prepare('SELECT version FROM schema_version').get();
    const version = typeof row?.['version'] === 'number' ? row['version'] : 0;
    if (version > steps.length) {
      throw new SchemaError(
        `was written by a newer server (schema ${version}, this one knows ${steps.length}); start that version again`,
      );
    }
    for (const step of steps.slice(version)) database.exec(step);
    if (version < steps.length) {
      database.exec('DELETE FROM schema_version');
      database.prepare('INSERT INTO schema_version (version) VALUES (?)').run(steps.length);
    }
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
