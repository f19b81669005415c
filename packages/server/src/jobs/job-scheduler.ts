import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { TaskRuns } from '../engines/engine.ts';
import type { AttemptRunner } from './attempt-runner.ts';
import type { JobBook } from './job-book.ts';
import type { JobRecord, TaskRow } from './job-record.ts';
import type { JobStore } from './job-store.ts';
import type { JobRoom } from './job-turns.ts';
import { createTaskAttempts, type TaskAttempts } from './task-attempts.ts';
import { createTaskLeftovers } from './task-leftovers.ts';

/** While something could begin, room is asked for this often: what functions and limits leave comes back without a word. */
const ROOM_EVERY_MS = 1_000;
/** Calls that run get this long to end before another server goes on. */
const HOLD_MS = 2_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What {@link createJobScheduler} needs. */
export interface JobSchedulerOptions {
  readonly book: JobBook;
  readonly store: JobStore;
  readonly runner: AttemptRunner;
  readonly runs: TaskRuns | undefined;
  /** What there is room for now. */
  readonly room: () => JobRoom;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Runs the tasks of the jobs in a book that have not ended. */
export interface JobScheduler extends Pick<TaskAttempts, 'end'> {
  /** Takes in a job that is on disk. */
  add(record: JobRecord, tasks: ReadonlyMap<number, TaskRow>): void;
  /** Forgets a job that has ended. */
  forget(id: string): void;
  /** Resolves when no job is streamed any more. */
  streamsEnded(): Promise<void>;
  /** Goes on with stored jobs. Throws STORE_FAILED. */
  start(records: readonly JobRecord[]): Promise<void>;
  /** Begins nothing more and writes nothing more: another server may go on. */
  hold(): Promise<void>;
  /** Undoes {@link hold}. */
  goOn(): void;
  /** Stops what runs; it is made again by the next server. */
  close(): Promise<void>;
}

/** Makes the loop that begins tasks when something changes: nothing is polled but room, and what a crash may have left. */
export function createJobScheduler(options: JobSchedulerOptions): JobScheduler {
  const { book, store, clock } = options;
  let isHeld = true;
  let isClosed = false;
  let pumping: NodeJS.Immediate | undefined;
  let timer: NodeJS.Timeout | undefined;
  let pausedUntil = 0;

  const pump = () => {
    if (!isHeld) pumping ??= setImmediate(pumpNow);
  };
  const attempts = createTaskAttempts({
    ...options,
    onFree: pump,
    onTrouble: (pauseMs) => {
      pausedUntil = clock.monotonic() + pauseMs;
    },
    onLost: () => leftovers.lookSoon(),
  });
  const leftovers = createTaskLeftovers({ ...options, attempts, onFree: pump });

  function pumpNow(): void {
    pumping = undefined;
    if (isHeld) return;
    // What waits is not moved when somebody sets the clock.
    const now = clock.monotonic();
    for (let doomed = book.look(now); doomed.length > 0; doomed = book.look(now)) {
      for (const { live, reason } of doomed) {
        void attempts.end(live.record.id, { state: 'failed', reason }).catch(() => {});
      }
    }
    if (pausedUntil > now) {
      later(pausedUntil - now);
      return;
    }
    const room = options.room();
    for (let next = book.take(room, now); next; next = book.take(room, now)) {
      attempts.begin(next.live, next.index, next.row);
    }
    const soonest = Math.min(book.nextAt() ?? Infinity, book.isReady ? now + ROOM_EVERY_MS : Infinity);
    if (Number.isFinite(soonest)) later(soonest - now);
  }

  function later(ms: number): void {
    clearTimeout(timer);
    timer = setTimeout(pump, Math.min(ms + 1, LONGEST_TIMER_MS)).unref();
  }

  function add(record: JobRecord, tasks: ReadonlyMap<number, TaskRow>): void {
    const live = book.add(record, tasks);
    pump();
    // One whose tasks are all done already has nothing to wait for.
    void attempts.endIfDone(live);
  }

  function run(): void {
    if (isClosed) return;
    isHeld = false;
    leftovers.begin();
    pump();
  }

  function stop(): void {
    isHeld = true;
    leftovers.stop();
    clearTimeout(timer);
  }

  return {
    add,
    forget(id) {
      book.forget(id);
      pump();
    },
    end: (id, ending) => attempts.end(id, ending),
    async streamsEnded() {
      while (book.streams.size > 0) await Promise.race([...book.streams.keys()].map((id) => book.changed(id)));
    },
    async start(stored) {
      for (const record of stored.toSorted((a, b) => a.createdAt - b.createdAt)) {
        if (record.endedAt !== undefined) {
          book.keep(record);
          continue;
        }
        const rows = await store.tasks(record.id);
        const running = new Map([...rows].filter(([, { state }]) => state === 'running'));
        if (running.size > 0) book.orphans.set(record.id, running);
        add(record, rows);
      }
      run();
    },
    async hold() {
      stop();
      // Containers run on and are joined by whoever goes on; calls cannot be, so they get a moment.
      const calls = book.lives().filter(({ record }) => record.spec.image === undefined);
      const areOver = (async () => {
        while (calls.some(({ stops }) => stops.size > 0)) await sleep(20, undefined, { ref: false });
      })();
      await Promise.race([areOver, sleep(HOLD_MS, undefined, { ref: false })]);
      attempts.stop(calls);
      await areOver;
      attempts.leave('another server goes on with it');
      const streamed = book.lives().some(({ record }) => record.isStreamed);
      if (!streamed) await attempts.over();
    },
    goOn() {
      if (!isHeld || isClosed) return;
      attempts.rejoin();
      // Only then is it known which containers are nobody's.
      void leftovers.findLeft().then(run);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      const wasHeld = isHeld;
      stop();
      // What another server has is not stopped.
      if (wasHeld) return;
      attempts.stop();
      await attempts.over();
      attempts.leave('the server has stopped');
    },
  };
}
