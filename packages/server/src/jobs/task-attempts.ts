import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { FoundTask, TaskRuns } from '../engines/engine.ts';
import type { AttemptRunner } from './attempt-runner.ts';
import type { StopReason } from './classify-task-end.ts';
import { decideJobEnd } from './decide-job-end.ts';
import { type AttemptEnd, decideTaskEnd } from './decide-task-end.ts';
import type { JobBook } from './job-book.ts';
import type { JobRecord, TaskRow } from './job-record.ts';
import type { JobStore } from './job-store.ts';
import type { LiveJob } from './live-job.ts';
import { runIdOf } from './task-context.ts';

/** Jobs with more tasks than this keep what is expensive to make from one task to the next. */
const MANY_TASKS = 8;
/** What could not be written is tried again after this long. */
const AGAIN_MS = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What {@link createTaskAttempts} needs. */
export interface TaskAttemptsOptions {
  readonly book: JobBook;
  readonly store: JobStore;
  readonly runner: AttemptRunner;
  readonly runs: Pick<TaskRuns, 'endGroup'> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when something may begin that could not before. */
  readonly onFree: () => void;
  /** Called when the store failed: nothing is to begin for so long. */
  readonly onTrouble: (pauseMs: number) => void;
  /** Called when an attempt was lost, whose container may be left. */
  readonly onLost: () => void;
}

/** The attempts that this server makes, and what becomes of their tasks and jobs. */
export interface TaskAttempts {
  /** Begins the next attempt of a task that was taken, or goes on with one whose container was found. */
  begin(live: LiveJob, index: number, before: TaskRow, found?: FoundTask): void;
  /** Takes note that an attempt of an earlier server was lost with it. */
  lose(live: LiveJob, index: number, row: TaskRow): void;
  /** Ends a job before all its tasks are done; on disk when it resolves, over when what runs has stopped. */
  end(id: string, ending: NonNullable<JobRecord['ending']>): Promise<void>;
  /** Ends a job of which nothing is left to do. */
  endIfDone(live: LiveJob): Promise<void>;
  /** Whether an attempt is in the container of that id. */
  isIn(runId: string): boolean;
  /** Writes what must not be lost, until it is written or another server has the store. */
  insist(what: () => Promise<void>): Promise<void>;
  /** Tells every attempt, or those of some jobs, that the server closes. */
  stop(lives?: readonly LiveJob[]): void;
  /** Resolves when no attempt runs any more. */
  over(): Promise<unknown>;
  /** From now on another server goes on with the attempts, for that reason. */
  leave(reason: string): void;
  /** Undoes {@link leave}. */
  rejoin(): void;
}

/** Makes what runs attempts and writes down how they end. */
export function createTaskAttempts(options: TaskAttemptsOptions): TaskAttempts {
  const { book, store, runner, runs, clock, logger } = options;
  const attempts = new Set<Promise<void>>();
  /** Containers that attempts of this server are in, by their id. */
  const inUse = new Set<string>();
  let leaving = new AbortController();

  const hold = (attempt: Promise<void>) => {
    const work = attempt.finally(() => attempts.delete(work));
    attempts.add(work);
  };

  async function insist(what: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await what();
      } catch (error) {
        if (leaving.signal.aborted) return;
        logger.error({ err: asEbbError(error) }, 'how a job stands could not be written; it is tried again');
        options.onTrouble(AGAIN_MS);
        await sleep(AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  async function attempt(live: LiveJob, index: number, before: TaskRow, found?: FoundTask): Promise<void> {
    const now = clock.now();
    const row: TaskRow = found
      ? before
      : { state: 'running', attempt: before.attempt + 1, failures: before.failures, lost: before.lost, startedAt: now };
    const named = { job: live.record, index, attempt: row.attempt };
    const runId = runIdOf(named);
    const stop = new AbortController();
    const leave = leaving.signal;
    const onStop = (reason: StopReason) => stop.abort(reason);
    live.stops.set(index, onStop);
    inUse.add(runId);
    book.tell(live.record.id);
    let timeout: NodeJS.Timeout | undefined;
    try {
      if (!found && !(await noteStart(live, index, row))) {
        live.settle(index, { ...before, state: 'queued' }, clock.monotonic());
        return;
      }
      const { timeoutMs } = live.resolved;
      const left = Math.max(timeoutMs - (clock.now() - (row.startedAt ?? now)), 0);
      timeout = setTimeout(onStop, Math.min(left, LONGEST_TIMER_MS), { kind: 'timeout', timeoutMs }).unref();
      const stream = book.streams.get(live.record.id);
      const input = stream || found ? undefined : await store.input(live.record, index);
      const ended = await runner.run(
        { ...named, input },
        {
          signal: stop.signal,
          // The connection of a streamed job is in this process, which goes on with it.
          leave: stream ? new AbortController().signal : leave,
          stream,
          found,
          isOneOfMany: live.record.count > MANY_TASKS,
        },
      );
      await settle(live, index, row, ended);
    } catch (error) {
      // Another server goes on with it, or tells the same of it.
      if (leave.aborted) return;
      await settle(live, index, row, { kind: 'lost', message: asEbbError(error).message });
    } finally {
      clearTimeout(timeout);
      live.stops.delete(index);
      inUse.delete(runId);
      book.touch(live);
      book.tell(live.record.id);
      options.onFree();
    }
  }

  /** Notes an attempt before it begins, so that every one has a number of its own; false when that failed. */
  async function noteStart(live: LiveJob, index: number, row: TaskRow): Promise<boolean> {
    try {
      const isFirst = live.record.state === 'queued';
      if (isFirst) {
        book.update(live, { state: 'running', startedAt: live.record.startedAt ?? row.startedAt });
        book.setDeadline(live);
      }
      await Promise.all([store.saveTask(live.record.id, index, row), isFirst && store.saveJob(live.record)]);
      return true;
    } catch (error) {
      if (!leaving.signal.aborted) {
        logger.error({ err: asEbbError(error), job: live.record.id }, 'a task could not be begun; it is tried again');
        options.onTrouble(AGAIN_MS);
      }
      return false;
    }
  }

  async function settle(live: LiveJob, index: number, row: TaskRow, ended: AttemptEnd): Promise<void> {
    const { record } = live;
    const decided = decideTaskEnd(row, ended, {
      retries: record.spec.retries,
      now: clock.now(),
      isEnding: record.ending !== undefined,
      isStreamed: record.isStreamed === true,
    });
    await insist(() => store.saveTask(record.id, index, decided.row));
    live.settle(index, decided.row, clock.monotonic() + (decided.waitMs ?? 0));
    live.last = decided.row;
    book.touch(live);
    if (ended.kind === 'lost') {
      live.lost += 1;
      options.onLost();
    }
    if (ended.kind === 'failed' || ended.kind === 'lost') {
      const again = decided.row.state === 'queued' ? '; it is tried again' : '';
      runner.say(
        { job: record, index, attempt: row.attempt },
        `task ${index}, attempt ${row.attempt}: ${ended.message}${again}`,
      );
    }
    await endIfDone(live);
  }

  async function endIfDone(live: LiveJob): Promise<void> {
    const { record } = live;
    if (book.orphans.has(record.id) || record.endedAt !== undefined) return;
    const how = decideJobEnd(record, live.counts);
    if (!how) return;
    // Another server says how it ended; who streams it is told here.
    const isElsewhere = () => leaving.signal.aborted && !record.isStreamed;
    if (isElsewhere()) return;
    const { ending: _, ...rest } = record;
    const done: JobRecord = { ...rest, ...how, endedAt: clock.now(), lost: live.lost };
    live.record = done;
    await insist(() => store.saveJob(done));
    if (isElsewhere()) return;
    runs?.endGroup(done.id);
    logger.info({ job: done.id, state: done.state, tasks: done.counts }, 'a job has ended');
    book.ended(live, done);
    options.onFree();
  }

  return {
    begin: (live, index, before, found) => hold(attempt(live, index, before, found)),
    lose(live, index, row) {
      const lost = settle(live, index, row, { kind: 'lost', message: 'the server was stopped while it ran' });
      hold(lost.finally(options.onFree));
    },
    async end(id, ending) {
      const live = book.live(id);
      if (!live || live.record.ending) return;
      const record = book.update(live, { ending });
      try {
        await store.saveJob(record);
      } finally {
        // Where it could not be noted, nothing is begun all the same until this server ends.
        for (const stop of live.stops.values()) stop({ kind: 'ended', reason: ending.reason });
      }
      await endIfDone(live);
    },
    endIfDone,
    isIn: (runId) => inUse.has(runId),
    insist,
    stop(lives = book.lives()) {
      for (const live of lives) for (const stop of live.stops.values()) stop({ kind: 'closing' });
    },
    over: () => Promise.all(attempts),
    leave: (reason) => leaving.abort(new Error(reason)),
    rejoin() {
      leaving = new AbortController();
    },
  };
}
