import type { AttemptResource } from '@ebb/contract';
import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { Held, HotRecord } from '../fold-held.ts';
import type { KeyRules, QueueRecord, StoredResult } from '../queue.ts';
import { DamageError } from './describe-failure.ts';
import { asPayload } from './queue-codec.ts';
import type { ItemRow, PayloadNote, ResultNote } from './queue-protocol.ts';
import { PHASE, type Phase } from './queue-schema.ts';

/** The hot part of a record as its rows say it. */
export interface StoredRecord extends HotRecord {
  readonly laneId: number;
  /** The phase the row has now; what a change of the record leads to is {@link phaseOf}. */
  readonly phase: Phase;
  readonly pin: string | undefined;
}

/** An item in the file. */
export type Stored = Held<StoredRecord>;

/** Rows in and out: everything that knows the columns of `items`, `states` and `outcomes`. */
export interface QueueTables {
  bySeq(seq: number): Stored | undefined;
  byId(id: string): Stored | undefined;
  has(id: string): boolean;
  /** Reads a row of `states`. Throws DamageError when it contradicts its checksum. */
  read(row: Row): Stored;
  /** What of an item never changes, as text, and its body. Both throw DamageError. */
  contentOf(stored: Stored): string;
  bodyOf(stored: Stored): Uint8Array;
  insert(stored: Stored, item: ItemRow): void;
  update(before: Stored, after: Stored): void;
  /** Lets a due item be leased, or not. */
  block(seq: number, isBlocked: boolean): void;
  setAside(seq: number): void;
  drop(stored: Stored): void;
}

/** A row as the driver of SQLite gives it. */
export type Row = Record<string, unknown>;

type Value = string | number | null;

/** Columns of `states` that never change, then those that do, as they are bound and summed up. */
const FIXED = [
  ...['seq', 'id', 'lane', 'priority', 'accepted_at', 'expires_at', 'pin'],
  ...['key', 'key_order', 'key_concurrency', 'throttle_ms', 'debounce_ms'],
];
const CHANGING = [
  ...['phase', 'sort', 'next_at', 'ended_at', 'begun', 'failures', 'fence', 'owner', 'started_at'],
  ...['key_phase', 'slot_at', 'reason', 'redriven'],
];
const COLUMNS = [...FIXED, ...CHANGING];
const PHASE_AT = COLUMNS.indexOf('phase');

/** The phase that an item belongs into; `ready` stands for `blocked` too, which only its key decides. */
export function phaseOf({ record, isDue }: Stored): Phase {
  if (record.state !== 'queued') return PHASE[record.state];
  return isDue ? PHASE.ready : PHASE.delayed;
}

/** Prepares the statements. */
export function createQueueTables(database: DatabaseSync): QueueTables {
  const selectBySeq = database.prepare('SELECT * FROM states WHERE seq = ?');
  const selectById = database.prepare('SELECT * FROM states WHERE id = ?');
  const selectHas = database.prepare('SELECT 1 FROM states WHERE id = ?');
  const selectItem = database.prepare('SELECT content, checksum FROM items WHERE seq = ?');
  const selectBody = database.prepare('SELECT body, body_checksum FROM items WHERE seq = ?');
  const selectOutcome = database.prepare('SELECT * FROM outcomes WHERE seq = ?');
  const insertItem = database.prepare(
    'INSERT INTO items (seq, content, body, file, checksum, body_checksum) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const insertState = database.prepare(
    `INSERT INTO states (${COLUMNS.join(', ')}, checksum) VALUES (${COLUMNS.map(() => '?').join(', ')}, ?)`,
  );
  const updateState = database.prepare(
    `UPDATE states SET ${CHANGING.map((column) => `${column} = ?`).join(', ')}, checksum = ? WHERE seq = ?`,
  );
  const replaceOutcome = database.prepare(
    'INSERT OR REPLACE INTO outcomes (seq, attempts, result, body, dead, cancelled, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const updatePhase = database.prepare('UPDATE states SET phase = ? WHERE seq = ?');
  const updateAside = database.prepare(`UPDATE states SET phase = ${PHASE.damaged}, sort = NULL WHERE seq = ?`);
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
      insertItem.run(seq, item.content, body, item.file ?? null, crc32(item.content), crc32(body ?? ''));
      const values = [...fixedOf(stored), ...changingOf(stored)];
      insertState.run(...values, checksumOf(values));
      if (item.file !== undefined) insertFile.run(item.file, seq);
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

/** SQLite guards its log but not its pages with checksums, so a flipped bit is found by our own. */
function checksumOf(values: readonly Value[]): number {
  // Whether its key holds a due item back is worked out anew at any time.
  const phase = values[PHASE_AT];
  const stable =
    values.length === COLUMNS.length && phase === PHASE.blocked ? values.with(PHASE_AT, PHASE.ready) : values;
  return crc32(stable.join('\0'));
}

function damaged(id: unknown): DamageError {
  return new DamageError(`the call "${String(id)}" does not match its checksum`);
}

function fixedOf({ record }: Stored): readonly Value[] {
  const { seq, id, laneId, priority, acceptedAt, expiresAt, pin, rules } = record;
  const ofKey = rules
    ? [rules.key, rules.order, rules.concurrency ?? null, rules.throttleMs, rules.debounceMs]
    : [null, null, null, null, null];
  return [seq, id, laneId, priority, acceptedAt, expiresAt, pin ?? null, ...ofKey];
}

function changingOf(stored: Stored): readonly Value[] {
  const { record, fence, lease, slotAt } = stored;
  const { nextAt, endedAt, begun, failures, dead } = record;
  const phase = phaseOf(stored);
  const redriven = dead ? Number(dead.redrivenAs !== undefined) : null;
  return [
    ...[phase, sortOf(stored, phase), nextAt ?? null, endedAt ?? null, begun, failures, fence],
    ...[lease?.owner ?? null, lease?.startedAt ?? null, keyPhaseOf(record), slotAt ?? null],
    ...[dead?.reason ?? null, redriven],
  ];
}

function sortOf({ record, lease }: Stored, phase: Phase): number | null {
  if (phase === PHASE.running) return lease?.untilAt ?? 0;
  if (phase === PHASE.delayed) return record.nextAt ?? 0;
  return phase === PHASE.ready ? -record.priority : null;
}

function keyPhaseOf({ state, begun, rules }: StoredRecord): number | null {
  if (!rules || (state !== 'queued' && state !== 'running')) return null;
  return state === 'running' ? 2 : Number(begun > 0);
}

const STATES = {
  [PHASE.ready]: 'queued',
  [PHASE.blocked]: 'queued',
  [PHASE.delayed]: 'queued',
  [PHASE.running]: 'running',
  [PHASE.succeeded]: 'succeeded',
  [PHASE.dead]: 'dead',
  [PHASE.cancelled]: 'cancelled',
  [PHASE.damaged]: 'queued',
} as const;

function asStored(row: Row, outcome: Outcome | undefined): Stored {
  const phase = Number(row['phase']) as Phase;
  return {
    record: {
      seq: Number(row['seq']),
      id: String(row['id']),
      laneId: Number(row['lane']),
      phase,
      pin: text(row['pin']),
      state: STATES[phase],
      priority: Number(row['priority']),
      acceptedAt: Number(row['accepted_at']),
      expiresAt: Number(row['expires_at']),
      rules: rulesOf(row),
      begun: Number(row['begun']),
      failures: Number(row['failures']),
      nextAt: number(row['next_at']),
      endedAt: number(row['ended_at']),
      attempts: [],
      ...outcome,
    },
    fence: Number(row['fence']),
    isDue: phase === PHASE.ready || phase === PHASE.blocked,
    slotAt: number(row['slot_at']),
    lease:
      phase === PHASE.running
        ? { owner: String(row['owner']), startedAt: Number(row['started_at']), untilAt: Number(row['sort']) }
        : undefined,
  };
}

/** What binds the key of a row; undefined for one without. */
export function rulesOf(row: Row): KeyRules | undefined {
  if (typeof row['key'] !== 'string') return undefined;
  return {
    key: row['key'],
    order: row['key_order'] as KeyRules['order'],
    concurrency: number(row['key_concurrency']),
    throttleMs: Number(row['throttle_ms'] ?? 0),
    debounceMs: Number(row['debounce_ms'] ?? 0),
  };
}

type Outcome = Pick<QueueRecord, 'attempts' | 'result' | 'dead' | 'cancelled'>;

function asOutcome(row: Row, id: unknown): Outcome {
  const { attempts, result, dead, cancelled } = row;
  const body = row['body'] instanceof Uint8Array ? row['body'] : new Uint8Array(0);
  const summed = [row['seq'], attempts, result, dead, cancelled] as Value[];
  if (row['checksum'] !== crc32(body, checksumOf(summed))) throw damaged(id);
  const note = parse<Omit<StoredResult, 'body'> & { readonly body: PayloadNote }>(result);
  return {
    attempts: parse<AttemptResource[]>(attempts) ?? [],
    ...(note && { result: { ...note, body: asPayload(note.body, body) } }),
    ...(typeof dead === 'string' && { dead: parse<NonNullable<QueueRecord['dead']>>(dead) }),
    ...(typeof cancelled === 'string' && { cancelled }),
  } as Outcome;
}

function asJson(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function parse<T>(value: unknown): T | undefined {
  return typeof value === 'string' ? (JSON.parse(value) as T) : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
