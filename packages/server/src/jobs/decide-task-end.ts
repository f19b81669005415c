import type { TaskResult, TaskRow } from './job-record.ts';

/** How one attempt of a task ended. */
export type AttemptEnd = {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly outOfMemory?: true | undefined;
  readonly status?: number | undefined;
  readonly result?: TaskResult | undefined;
} & (
  | { readonly kind: 'succeeded' }
  /** By the task's own fault. */
  | { readonly kind: 'failed'; readonly message: string }
  /** By fault of the platform, such as a daemon or an instance that went away. */
  | { readonly kind: 'lost'; readonly message: string; readonly retryAfterMs?: number | undefined }
  | { readonly kind: 'cancelled'; readonly message: string }
);

/** Attempts of one task that may be lost by fault of the platform before it is given up. */
export const MOST_LOST = 30;

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;

/** What the end of an attempt is judged by. */
export interface TaskEndFacts {
  readonly retries: number;
  readonly now: number;
  /** Whether the job is being ended: then no more attempts are made. */
  readonly isEnding?: boolean;
  /** Whether the input was a connection's: it is gone, so it cannot be sent again. */
  readonly isStreamed?: boolean;
}

/** A task after an attempt, and how long it waits for another one if it gets one. */
export interface TaskEndDecision {
  readonly row: TaskRow;
  readonly waitMs?: number;
}

/** What a task is after an attempt. */
export function decideTaskEnd(row: TaskRow, end: AttemptEnd, facts: TaskEndFacts): TaskEndDecision {
  const decided = decideAlone(row, end, facts);
  if (decided.row.state !== 'queued') return decided;
  if (facts.isEnding) return { row: { ...decided.row, state: 'cancelled' } };
  if (facts.isStreamed) return { row: { ...decided.row, state: 'failed' } };
  return decided;
}

function decideAlone(row: TaskRow, end: AttemptEnd, { retries, now }: TaskEndFacts): TaskEndDecision {
  const { attempt, failures, lost, startedAt } = row;
  const base = { attempt, failures, lost, startedAt, endedAt: now, ...outcomeOf(end) };
  if (end.kind === 'succeeded' || end.kind === 'cancelled') return { row: { ...base, state: end.kind } };
  if (end.kind === 'failed') {
    const failed = { ...base, failures: failures + 1 };
    if (failures >= retries) return { row: { ...failed, state: 'failed' } };
    return { row: { ...failed, state: 'queued' }, waitMs: waitAfter(failures) };
  }
  const again = { ...base, lost: lost + 1 };
  if (lost + 1 >= MOST_LOST) {
    return {
      row: {
        ...again,
        state: 'failed',
        message: `given up after ${lost + 1} lost attempts, the last one: ${end.message}`,
      },
    };
  }
  return { row: { ...again, state: 'queued' }, waitMs: Math.max(end.retryAfterMs ?? 0, waitAfter(lost)) };
}

function waitAfter(earlier: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** Math.min(earlier, 20), LONGEST_WAIT_MS);
}

function outcomeOf(end: AttemptEnd): Partial<TaskRow> {
  const { exitCode, signal, outOfMemory, status, result } = end;
  return {
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(signal === undefined ? {} : { signal }),
    ...(outOfMemory === undefined ? {} : { outOfMemory }),
    ...(status === undefined ? {} : { status }),
    ...(result === undefined ? {} : { result }),
    ...(end.kind === 'succeeded' ? {} : { message: end.message }),
  };
}
