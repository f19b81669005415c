import { setTimeout as sleep } from 'node:timers/promises';
import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { FoundTask, TaskRuns } from '../engines/engine.ts';
import type { JobBook } from './job-book.ts';
import type { TaskRow } from './job-record.ts';
import type { JobStore } from './job-store.ts';
import type { LiveJob } from './live-job.ts';
import type { TaskAttempts } from './task-attempts.ts';
import { runIdOf } from './task-context.ts';

const SWEEP_EVERY_MS = 10_000;
/** What could not be looked through is tried again after this long. */
const AGAIN_MS = 1_000;

/** What {@link createTaskLeftovers} needs. */
export interface TaskLeftoversOptions {
  readonly book: JobBook;
  readonly store: Pick<JobStore, 'tasks'>;
  readonly attempts: Pick<TaskAttempts, 'begin' | 'lose' | 'isIn' | 'insist'>;
  readonly runs: TaskRuns | undefined;
  readonly logger: Logger;
  /** Called when tasks may begin that could not before. */
  readonly onFree: () => void;
}

/** What earlier servers and lost attempts left on the engine: joined if it is an attempt's, else removed (E1). */
export interface TaskLeftovers {
  /** Begins to look, and looks again every ten seconds. */
  begin(): void;
  /** Looks for nothing more until {@link begin}. */
  stop(): void;
  /** Looks soon, without anybody waiting for it. */
  lookSoon(): void;
  /** Finds the attempts that were left for another server, which did not come. */
  findLeft(): Promise<void>;
}

/** Makes what looks for containers of tasks. */
export function createTaskLeftovers(options: TaskLeftoversOptions): TaskLeftovers {
  const { book, store, attempts, runs, logger } = options;
  const { orphans } = book;
  let isStopped = true;
  let sweeper: NodeJS.Timeout | undefined;
  let soon: NodeJS.Timeout | undefined;

  /** Goes on with the attempts of an earlier server: those whose containers are there are joined, others are lost. */
  async function recover(): Promise<void> {
    while (orphans.size > 0 && !isStopped) {
      try {
        const needsList = [...orphans.keys()].some((id) => book.find(id)?.spec.image !== undefined);
        const found = new Map((needsList && runs ? await runs.list() : []).map((task) => [task.id, task]));
        if (isStopped) return;
        for (const [id, rows] of orphans) {
          orphans.delete(id);
          const live = book.live(id);
          if (!live) continue;
          book.touch(live);
          for (const [index, row] of rows) resume(live, index, row, found);
        }
        options.onFree();
      } catch (error) {
        logger.warn({ err: asEbbError(error) }, 'the tasks of the last run could not be looked for; it is tried again');
        await sleep(AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  function resume(live: LiveJob, index: number, row: TaskRow, found: ReadonlyMap<string, FoundTask>): void {
    const container = found.get(runIdOf({ job: live.record, index, attempt: row.attempt }));
    if (!container || container.state === 'created') {
      attempts.lose(live, index, row);
      return;
    }
    attempts.begin(live, index, row, container);
    if (live.record.ending) live.stops.get(index)?.({ kind: 'ended', reason: live.record.ending.reason });
  }

  /** Removes containers that no attempt is in and no clean-up policy keeps. */
  async function sweep(): Promise<void> {
    if (!runs || isStopped || orphans.size > 0) return;
    try {
      const found = await runs.list();
      await Promise.all(
        found
          .filter((task) => !isStopped && !attempts.isIn(task.id) && !isKept(task))
          .map(({ id }) => runs.stop(id, { graceMs: 0 })),
      );
    } catch (error) {
      logger.debug({ err: asEbbError(error) }, 'containers of tasks could not be looked through');
    }
  }

  function isKept({ labels, state }: FoundTask): boolean {
    const record = book.find(labels.job);
    return state === 'exited' && record !== undefined && record.spec.cleanup !== 'always';
  }

  return {
    begin() {
      isStopped = false;
      sweeper = setInterval(() => void sweep(), SWEEP_EVERY_MS).unref();
      void recover().then(sweep);
    },
    stop() {
      isStopped = true;
      clearInterval(sweeper);
    },
    lookSoon() {
      soon ??= setTimeout(() => {
        soon = undefined;
        void sweep();
      }, AGAIN_MS).unref();
    },
    async findLeft() {
      for (const live of book.lives()) {
        if (live.counts.running === live.stops.size) continue;
        await attempts.insist(async () => {
          const rows = await store.tasks(live.record.id);
          const left = [...rows].filter(([index, { state }]) => state === 'running' && !live.stops.has(index));
          if (left.length > 0) orphans.set(live.record.id, new Map(left));
        });
        book.touch(live);
      }
    },
  };
}
