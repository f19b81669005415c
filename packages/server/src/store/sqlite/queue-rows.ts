import type { AttemptResource } from '@ebb/contract';
import { crc32 } from 'node:zlib';
import type { Held, HotRecord } from '../fold-held.ts';
import type { KeyRules, QueueRecord } from '../queue.ts';
import { DamageError } from './describe-failure.ts';
import { asPayload } from './queue-codec.ts';
import type { ResultNote } from './queue-protocol.ts';
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

/** A row as the driver of SQLite gives it. */
export type Row = Record<string, unknown>;

/** A value of a column. */
export type Value = string | number | null;

const FIXED_NAMES =
  'seq id lane priority accepted_at expires_at pin key key_order key_concurrency throttle_ms debounce_ms';
const CHANGING_NAMES =
  'phase sort next_at ended_at begun failures fence owner started_at key_phase slot_at reason redriven';
/** Columns of `states` that change. */
export const CHANGING: readonly string[] = CHANGING_NAMES.split(' ');
/** Columns of `states` in the order of their values, all but the checksum. */
export const COLUMNS: readonly string[] = [...FIXED_NAMES.split(' '), ...CHANGING];
const PHASE_AT = COLUMNS.indexOf('phase');

/** The phase that an item belongs into; `ready` stands for `blocked` too, which only its key decides. */
export function phaseOf({ record, isDue }: Stored): Phase {
  if (record.state !== 'queued') return PHASE[record.state];
  return isDue ? PHASE.ready : PHASE.delayed;
}

/** SQLite guards its log but not its pages with checksums, so a flipped bit is found by our own. */
export function checksumOf(values: readonly Value[]): number {
  // Whether its key holds a due item back is worked out anew at any time.
  const phase = values[PHASE_AT];
  const stable =
    values.length === COLUMNS.length && phase === PHASE.blocked ? values.with(PHASE_AT, PHASE.ready) : values;
  return crc32(stable.join('\0'));
}

/** What is thrown for a row of this call that contradicts its checksum. */
export function damaged(id: unknown): DamageError {
  return new DamageError(`the call "${String(id)}" does not match its checksum`);
}

/** Values of the columns that never change. */
export function fixedOf({ record }: Stored): readonly Value[] {
  const { seq, id, laneId, priority, acceptedAt, expiresAt, pin, rules } = record;
  const ofKey = rules
    ? [rules.key, rules.order, rules.concurrency ?? null, rules.throttleMs, rules.debounceMs]
    : [null, null, null, null, null];
  return [seq, id, laneId, priority, acceptedAt, expiresAt, pin ?? null, ...ofKey];
}

/** Values of the columns that change. */
export function changingOf(stored: Stored): readonly Value[] {
  const { record, fence, lease, slotAt } = stored;
  const { nextAt, endedAt, begun, failures, dead } = record;
  const phase = phaseOf(stored);
  const redriven = dead ? Number(dead.redrivenAs !== undefined) : null;
  return [
    phase,
    sortOf(stored, phase),
    nextAt ?? null,
    endedAt ?? null,
    begun,
    failures,
    fence,
    lease?.owner ?? null,
    lease?.startedAt ?? null,
    keyPhaseOf(record),
    slotAt ?? null,
    dead?.reason ?? null,
    redriven,
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

/** The item that a row of `states` says, with its outcome. */
export function asStored(row: Row, outcome: Outcome | undefined): Stored {
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

/** What an item came to so far. */
export type Outcome = Pick<QueueRecord, 'attempts' | 'result' | 'dead' | 'cancelled'>;

/** What a row of `outcomes` says. Throws DamageError. */
export function asOutcome(row: Row, id: unknown): Outcome {
  const { attempts, result, dead, cancelled } = row;
  const body = row['body'] instanceof Uint8Array ? row['body'] : new Uint8Array(0);
  const summed = [row['seq'], attempts, result, dead, cancelled] as Value[];
  if (row['checksum'] !== crc32(body, checksumOf(summed))) throw damaged(id);
  const note = parse(result) as ResultNote | undefined;
  return {
    attempts: (parse(attempts) as AttemptResource[] | undefined) ?? [],
    ...(note && { result: { ...note, body: asPayload(note.body, body) } }),
    ...(typeof dead === 'string' && { dead: parse(dead) as NonNullable<QueueRecord['dead']> }),
    ...(typeof cancelled === 'string' && { cancelled }),
  };
}

/** Text for a column that may be empty. */
export function asJson(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function parse(value: unknown): unknown {
  return typeof value === 'string' ? JSON.parse(value) : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
