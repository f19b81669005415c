/** Inserts rows into a SQLite file in groups, each group durable before the next: `PATH ROW_BYTES GROUP SECONDS`. */
import { DatabaseSync } from 'node:sqlite';
import { newCallId } from '../../../packages/server/src/core/ids.ts';

const [path = '', rowBytes, group, seconds] = process.argv.slice(2);
const database = new DatabaseSync(path);
database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
database.exec('CREATE TABLE rows (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL)');
const insert = database.prepare('INSERT INTO rows (id, body) VALUES (?, ?)');
/** With the id, the length of a row. */
const body = new Uint8Array(Number(rowBytes) - newCallId().length).fill(120);
const endMs = performance.now() + Number(seconds) * 1000;
const beganMs = performance.now();
let rows = 0;
while (performance.now() < endMs) {
  database.exec('BEGIN IMMEDIATE');
  for (let i = 0; i < Number(group); i += 1) insert.run(newCallId(), body);
  database.exec('COMMIT');
  rows += Number(group);
}
process.send?.({ perSecond: (rows * 1000) / (performance.now() - beganMs) });
database.close();
process.disconnect?.();
