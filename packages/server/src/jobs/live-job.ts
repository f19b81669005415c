import { type ResolvedJob, resolveJob, type TaskCounts } from '@ebb/contract';
import { IndexedHeap } from '../core/indexed-heap.ts';
import type { StopReason } from './classify-task-end.ts';
import { type JobRecord, NEW_TASK, noneOf, type TaskRow } from './job-record.ts';

/** A task that waits for another attempt. */
interface Waiting {
  readonly index: number;
  readonly readyAt: number;
  readonly row: TaskRow;
}

/** A job that has not ended: which of its tasks stand where. Rows of tasks that have ended are in the store alone. */
export class LiveJob {
  record: JobRecord;
  readonly resolved: ResolvedJob;
  /** Position in the order of submission. */
  readonly order: number;
  readonly counts: TaskCounts;
  lost = 0;
  /** When it is to have ended, on the clock that never goes backwards. */
  deadlineAt: number | undefined;
  /** When it is to be looked at again, on the same clock. */
  alarmAt = Number.POSITIVE_INFINITY;
  /** The row of the task whose attempt ended last. */
  last: TaskRow | undefined;
  /** Attempts that run here, with what stops them. */
  readonly stops = new Map<number, (reason: StopReason) => void>();
  readonly #taken: Uint8Array;
  #next = 0;
  readonly #retries = new IndexedHeap<Waiting>((one, other) => one.readyAt < other.readyAt);

  constructor(record: JobRecord, rows: ReadonlyMap<number, TaskRow>, order: number, now: number) {
    this.record = record;
    this.resolved = { ...resolveJob(record.spec), count: record.count };
    this.order = order;
    this.counts = noneOf(record.count);
    this.#taken = new Uint8Array(record.count);
    for (const [index, row] of rows) {
      this.#taken[index] = 1;
      this.counts.queued -= 1;
      this.counts[row.state] += 1;
      this.lost += row.lost;
      if (row.state === 'queued') this.#retries.place({ index, readyAt: now, row });
    }
  }

  /** Takes the next task that may begin out of the queue; those that wait for another attempt come first. */
  take(now: number): { readonly index: number; readonly row: TaskRow } | undefined {
    const waiting = this.#dueRetry(now);
    if (waiting) this.#retries.remove(waiting);
    const index = waiting?.index ?? this.#nextNew();
    if (index === undefined) return undefined;
    this.#taken[index] = 1;
    this.counts.queued -= 1;
    this.counts.running += 1;
    return { index, row: waiting?.row ?? NEW_TASK };
  }

  /** Puts a running task where its row says; one that is queued may begin again at `readyAt`. */
  settle(index: number, row: TaskRow, readyAt: number): void {
    this.counts.running -= 1;
    this.counts[row.state] += 1;
    if (row.state === 'queued') this.#retries.place({ index, readyAt, row });
  }

  isReady(now: number): boolean {
    return this.#dueRetry(now) !== undefined || this.#nextNew() !== undefined;
  }

  /** When the next of the tasks that wait for another attempt may begin; undefined when none waits. */
  nextReadyAt(): number | undefined {
    return this.#retries.first?.readyAt;
  }

  #dueRetry(now: number): Waiting | undefined {
    const { first } = this.#retries;
    return first !== undefined && first.readyAt <= now ? first : undefined;
  }

  #nextNew(): number | undefined {
    while (this.#next < this.#taken.length && this.#taken[this.#next] === 1) this.#next += 1;
    return this.#next < this.#taken.length ? this.#next : undefined;
  }
}
