import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { ItemRow, ResultNote } from './queue-protocol.ts';
import {
  asJson,
  asOutcome,
  asStored,
  CHANGING,
  changingOf,
  checksumOf,
  COLUMNS,
  damaged,
  fixedOf,
  type Row,
  type Stored,
  type Value,
} from './queue-rows.ts';
import { PHASE, type Phase } from './queue-schema.ts';

/** Rows in and out: everything that knows the columns of `items`, `states` and `outcomes`. */
export interface QueueTables {
  bySeq(seq: number): Stored | undefined;
  byId(id: string): Stored | undefined;
  has(id: string): boolean;
  /** The phase that a row says now. */
  phaseOf(seq: number): Phase;
  /** Reads a row of `states`. Throws DamageError when it contradicts its checksum. */
  readonly read: (row: Row) => Stored;
  /** What of an item never changes, as text, and its body. Both throw DamageError. */
  contentOf(stored: Stored): string;
  bodyOf(stored: Stored): Uint8Array;
  /** Writes a new item; false, and nothing is written, when there is one with its id. */
  insert(stored: Stored, item: ItemRow): boolean;
  update(before: Stored, after: Stored): void;
  /** Lets a due item be leased, or not. */
  block(seq: number, isBlocked: boolean): void;
  setAside(seq: number): void;
  drop(stored: Stored): void;
}

/** Prepares the statements. */
export function createQueueTables(database: DatabaseSync): QueueTables {
  const selectBySeq = database.prepare('SELECT * FROM states WHERE seq = ?');
  const selectById = database.prepare('SELECT * FROM states WHERE id = ?');
  const selectPhase = database.prepare('SELECT phase FROM states WHERE seq = ?');
  const selectHas = database.prepare('SELECT 1 FROM states WHERE id = ?');
  const selectItem = database.prepare('SELECT content, checksum FROM items WHERE seq = ?');
  const selectBody = database.prepare('SELECT body, body_checksum FROM items WHERE seq = ?');
  const selectOutcome = database.prepare('SELECT * FROM outcomes WHERE seq = ?');
  const insertItem = database.prepare(
    'INSERT INTO items (seq, content, body, file, checksum, body_checksum) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const insertState = database.prepare(
    `INSERT INTO states (${COLUMNS.join(', ')}, checksum) VALUES (${COLUMNS.map(() => '?').join(', ')}, ?)
     ON CONFLICT (id) DO NOTHING`,
  );
  const updateState = database.prepare(
    `UPDATE states SET ${CHANGING.map((column) => `${column} = ?`).join(', ')}, checksum = ? WHERE seq = ?`,
  );
  const replaceOutcome = database.prepare(
    'INSERT OR REPLACE INTO outcomes (seq, attempts, result, body, dead, cancelled, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const updatePhase = database.prepare('UPDATE states SET phase = ? WHERE seq = ?');
  const updateAside = database.prepare(
    `UPDATE states SET phase = ${PHASE.damaged}, sort = NULL, key_phase = NULL WHERE seq = ?`,
  );
  const insertFile = database.prepare('INSERT OR IGNORE INTO files (digest, seq) VALUES (?, ?)');
  const deleteFile = database.prepare('DELETE FROM files WHERE digest = ? AND seq = ?');
  const selectFile = database.prepare('SELECT file FROM items WHERE seq = ?');
  const deletions = ['states', 'items', 'outcomes'].map((table) =>
    database.prepare(`DELETE FROM ${table} WHERE seq = ?`),
  );

  const read = (row: Row): Stored => {
    if (row['checksum'] !== checksumOf(COLUMNS.map((column) => row[column] as Value))) throw damaged(row['id']);
    const fence = Number(row['fence']);
    const phase = Number(row['phase']) as Phase;
    // The first attempt leaves nothing behind before it has ended.
    const isFresh = (fence === 0 && phase <= PHASE.delayed) || (fence === 1 && phase === PHASE.running);
    const outcome = isFresh ? undefined : selectOutcome.get(Number(row['seq']));
    return asStored(row, outcome && asOutcome(outcome, row['id']));
  };

  const writeOutcome = ({ record }: Stored): void => {
    const { seq, attempts, result, dead, cancelled } = record;
    const bytes = result?.body.kind === 'bytes' ? result.body.bytes : null;
    const note: ResultNote | undefined = result && {
      ...result,
      body: result.body.kind === 'bytes' ? { kind: 'bytes' } : result.body,
    };
    const values = [JSON.stringify(attempts), asJson(note), asJson(dead), cancelled ?? null] as const;
    const [attemptsText, resultText, deadText, cancelledText] = values;
    const checksum = crc32(bytes ?? '', checksumOf([seq, ...values]));
    replaceOutcome.run(seq, attemptsText, resultText, bytes, deadText, cancelledText, checksum);
    if (result?.body.kind === 'file') insertFile.run(result.body.digest, seq);
  };

  const byStatement = (row: Row | undefined): Stored | undefined => row && read(row);

  return {
    bySeq: (seq) => byStatement(selectBySeq.get(seq)),
    byId: (id) => byStatement(selectById.get(id)),
    phaseOf: (seq) => Number(selectPhase.get(seq)?.['phase']) as Phase,
    has: (id) => selectHas.get(id) !== undefined,
    read,

    contentOf({ record }) {
      const row = selectItem.get(record.seq);
      const content = row?.['content'];
      if (typeof content !== 'string' || row?.['checksum'] !== crc32(content)) throw damaged(record.id);
      return content;
    },

    bodyOf({ record }) {
      const row = selectBody.get(record.seq);
      const body = row?.['body'] instanceof Uint8Array ? row['body'] : new Uint8Array(0);
      if (row?.['body_checksum'] !== crc32(body)) throw damaged(record.id);
      return body;
    },

    insert(stored, item) {
      const { seq } = stored.record;
      const body = item.body ?? null;
      const values = [...fixedOf(stored), ...changingOf(stored)];
      if (insertState.run(...values, checksumOf(values)).changes === 0) return false;
      insertItem.run(seq, item.content, body, item.file ?? null, crc32(item.content), crc32(body ?? ''));
      if (item.file !== undefined) insertFile.run(item.file, seq);
      return true;
    },

    update(before, after) {
      const changing = changingOf(after);
      updateState.run(...changing, checksumOf([...fixedOf(after), ...changing]), after.record.seq);
      const [old, now] = [before.record, after.record];
      const isSame =
        old.attempts === now.attempts &&
        old.result === now.result &&
        old.dead === now.dead &&
        old.cancelled === now.cancelled;
      if (!isSame) writeOutcome(after);
    },

    block: (seq, isBlocked) => void updatePhase.run(isBlocked ? PHASE.blocked : PHASE.ready, seq),
    setAside: (seq) => void updateAside.run(seq),

    drop({ record }) {
      const file = selectFile.get(record.seq)?.['file'];
      if (typeof file === 'string') deleteFile.run(file, record.seq);
      if (record.result?.body.kind === 'file') deleteFile.run(record.result.body.digest, record.seq);
      for (const deletion of deletions) deletion.run(record.seq);
    },
  };
}
