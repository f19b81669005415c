import { parseDurationMs, parseSizeBytes } from '@ebb/contract';
import { EbbError } from '../../core/errors.ts';

/** One call of a trace. */
export interface TraceCall {
  /** Milliseconds since some moment that all calls of the trace share. */
  readonly at: number;
  readonly name: string;
  /** How long the function works on it, in milliseconds. */
  readonly durationMs: number;
  /** What an instance of the function holds. */
  readonly memoryBytes: number;
  /** How long an instance takes to start, where the trace says it. */
  readonly startMs?: number;
}

const COLUMNS = ['time', 'function', 'duration', 'memory'] as const;

/**
 * Reads a trace: CSV with a line of headings that names at least `time` (seconds, or a date as of ISO 8601),
 * `function`, `duration` (seconds, or `120ms`) and `memory` (bytes, or `128Mi`), and optionally `start`; other columns
 * are ignored. Calls come back in order of time. Throws INVALID_REQUEST, which names line, column and value.
 */
export function parseTrace(text: string): TraceCall[] {
  const [heading = '', ...lines] = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const columns = new Map(cellsOf(heading).map((name, index) => [name.toLowerCase(), index]));
  const missing = COLUMNS.find((name) => !columns.has(name));
  if (missing !== undefined) {
    const message = `line 1 has no column "${missing}": the headings must name ${COLUMNS.join(', ')}`;
    throw new EbbError('INVALID_REQUEST', message);
  }
  const calls: TraceCall[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() !== '') calls.push(parseCall(cellsOf(line), columns, index + 2));
  }
  if (calls.length === 0) throw new EbbError('INVALID_REQUEST', 'the trace has no calls: it needs a line for each');
  return calls.sort((a, b) => a.at - b.at);
}

function parseCall(cells: readonly string[], columns: ReadonlyMap<string, number>, line: number): TraceCall {
  const cell = (name: string) => cells[columns.get(name) ?? -1] ?? '';
  const read = (name: string, parse: (text: string) => number | undefined, allowed: string) => {
    const value = parse(cell(name));
    if (value !== undefined) return value;
    throw new EbbError('INVALID_REQUEST', `line ${line}: "${name}" is "${cell(name)}" but must be ${allowed}`);
  };
  const name = cell('function');
  if (name === '') throw new EbbError('INVALID_REQUEST', `line ${line}: "function" is empty but must be a name`);
  return {
    at: read('time', parseTimeMs, 'seconds such as 12.5, or a date such as 2026-11-23T08:00:00Z'),
    name,
    durationMs: read('duration', parseDurationMs, 'seconds such as 0.12, or a duration such as 120ms'),
    memoryBytes: read('memory', positiveSize, 'a number of bytes above 0, or a size such as 128Mi'),
    ...(cell('start') === ''
      ? {}
      : { startMs: read('start', parseDurationMs, 'seconds, or a duration such as 250ms') }),
  };
}

function cellsOf(line: string): string[] {
  return line.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));
}

function parseTimeMs(text: string): number | undefined {
  if (/^\d{1,12}(?:\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  const date = /^\d{4}-\d{2}-\d{2}T/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : date;
}

function positiveSize(text: string): number | undefined {
  const bytes = parseSizeBytes(text);
  return bytes !== undefined && bytes > 0 ? bytes : undefined;
}
