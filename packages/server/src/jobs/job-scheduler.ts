import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { FoundTask, TaskRuns } from '../engines/engine.ts';
import type { AttemptRunner, TaskStream } from './attempt-runner.ts';
import type { StopReason } from './classify-task-end.ts';
import { decideAfter } from './decide-dependencies.ts';
import { decideNextJob, type JobRoom, type JobView } from './decide-next-job.ts';
import { type AttemptEnd, decideTaskEnd } from './decide-task-end.ts';
import type { JobRecord, TaskRow } from './job-record.ts';
import type { JobStore } from './job-store.ts';
import { LiveJob } from './live-job.ts';
import { runIdOf } from './task-context.ts';

/** Calls of a function at once where a job does not say. */
const USUAL_CALLS = 32;
/** Jobs with more tasks than this keep what is expensive to make from one task to the next. */
const MANY_TASKS = 8;
const SWEEP_EVERY_MS = 10_000;
/** What could not be written, or looked through, is tried again after this long. */
const AGAIN_MS = 1_000;
/** Calls that run get this long to end before another server goes on. */
const HOLD_MS = 2_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What {@link createJobScheduler} needs. */
export interface JobSchedulerOptions {
  readonly store: JobStore;
  readonly runner: AttemptRunner;
  readonly runs: TaskRuns | undefined;
  /** What there is room for now. */
  readonly room: () => JobRoom;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Knows every job and runs the tasks of those that have not ended. */
export interface JobScheduler {
  /** Connections of jobs that are streamed, by id. */
  readonly streams: Map<string, TaskStream>;
  find(id: string): JobRecord | undefined;
  live(id: string): LiveJob | undefined;
  /** All jobs, oldest first. */
  all(): readonly JobRecord[];
  add(record: JobRecord, tasks: ReadonlyMap<number, TaskRow>): void;
  forget(id: string): void;
  /** Ends a job before all its tasks are done; on disk when it resolves, over when what runs has stopped. */
  end(id: string, ending: NonNullable<JobRecord['ending']>): Promise<void>;
  /** Resolves with the next change of a job. */
  changed(id: string): Promise<void>;
  /** Calls `listener` once when the job has ended, with the row of the task that ended last. */
  onEnd(id: string, listener: (record: JobRecord, last: TaskRow | undefined) => void): void;
  /** Resolves when no job is streamed any more. */
  streamsEnded(): Promise<void>;
  start(records: readonly JobRecord[]): Promise<void>;
  hold(): Promise<void>;
  goOn(): void;
  close(): Promise<void>;
}

/** Makes the loop that begins tasks when something changes: nothing is polled but what a crash may have left. */
export function createJobScheduler(options: JobSchedulerOptions): JobScheduler {
  const { store, runner, runs, clock, logger } = options;
  const records = new Map<string, JobRecord>();
  const lives = new Map<string, LiveJob>();
  const streams = new Map<string, TaskStream>();
  const changes = new Map<string, PromiseWithResolvers<void>>();
  const endListeners = new Map<string, (record: JobRecord, last: TaskRow | undefined) => void>();
  /** Containers that attempts of this server are in, by their id. */
  const inUse = new Set<string>();
  /** Attempts of an earlier server whose containers are to be found, by job. */
  const orphans = new Map<string, Map<number, TaskRow>>();
  const attempts = new Set<Promise<void>>();
  let order = 0;
  let leave = new AbortController();
  let isHeld = true;
  let isClosed = false;
  let pumping: NodeJS.Immediate | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sweeper: NodeJS.Timeout | undefined;
  let sweepTimer: NodeJS.Timeout | undefined;
  let pausedUntil = 0;

  const told = (id: string) => {
    const change = changes.get(id);
    changes.delete(id);
    change?.resolve();
  };
  const changed = (id: string) => {
    const change = changes.get(id) ?? Promise.withResolvers<void>();
    changes.set(id, change);
    return change.promise;
  };
  const pump = () => {
    if (!isHeld) pumping ??= setImmediate(pumpNow);
  };

  /** Writes what must not be lost, until it is written or another server has the store. */
  async function insist(what: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await what();
      } catch (error) {
        if (leave.signal.aborted) return;
        logger.error({ err: asEbbError(error) }, 'how a job stands could not be written; it is tried again');
        pausedUntil = clock.monotonic() + AGAIN_MS;
        await sleep(AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  function update(live: LiveJob, change: Partial<JobRecord>): JobRecord {
    live.record = { ...live.record, ...change };
    records.set(live.record.id, live.record);
    told(live.record.id);
    return live.record;
  }

  function viewOf(live: LiveJob, now: number): JobView {
    const { record, order: position } = live;
    const isContainer = record.spec.image !== undefined;
    return {
      id: record.id,
      namespace: record.namespace,
      isContainer,
      running: live.counts.running,
      isReady: !record.ending && !orphans.has(record.id) && mayBegin(live) && live.isReady(now),
      parallelism: record.spec.parallelism ?? (isContainer ? Number.POSITIVE_INFINITY : USUAL_CALLS),
      memoryBytes: live.resolved.memoryBytes,
      order: position,
    };
  }

  function mayBegin({ record }: LiveJob): boolean {
    if (record.spec.after.length === 0 || record.startedAt !== undefined) return true;
    const decision = decideAfter(record.spec.after.map((id) => ({ id, state: records.get(id)?.state })));
    if (decision.kind === 'skip') {
      void end(record.id, { state: 'failed', reason: decision.reason }).catch(() => {});
      return false;
    }
    return decision.kind === 'begin';
  }

  function pumpNow(): void {
    pumping = undefined;
    if (isHeld) return;
    // What waits is not moved when somebody sets the clock.
    const now = clock.monotonic();
    for (const live of lives.values()) checkDeadline(live, now);
    const paused = pausedUntil - now;
    if (paused > 0) {
      later(paused);
      return;
    }
    const room = options.room();
    for (;;) {
      const views = [...lives.values()].map((live) => viewOf(live, now));
      const next = decideNextJob(views, room);
      const live = next && lives.get(next.id);
      const taken = live?.take(now);
      if (!live || !taken) break;
      begin(live, taken.index, taken.row);
    }
    let soonest = Number.POSITIVE_INFINITY;
    for (const live of lives.values()) {
      for (const at of [live.nextReadyAt(), live.deadlineAt])
        if (at !== undefined && at > now) soonest = Math.min(soonest, at);
      // Room that functions and limits leave comes back without a word.
      if (viewOf(live, now).isReady) soonest = Math.min(soonest, now + AGAIN_MS);
    }
    if (Number.isFinite(soonest)) later(soonest - now);
  }

  function later(ms: number): void {
    clearTimeout(timer);
    timer = setTimeout(pump, Math.min(ms + 1, LONGEST_TIMER_MS)).unref();
  }

  /** Finds out when a job that has begun is to have ended. */
  function setDeadline(live: LiveJob): void {
    const { deadlineMs } = live.resolved;
    const { startedAt } = live.record;
    if (deadlineMs === undefined || startedAt === undefined) return;
    live.deadlineAt = clock.monotonic() + deadlineMs - Math.max(clock.now() - startedAt, 0);
  }

  function checkDeadline(live: LiveJob, now: number): void {
    if (live.record.ending || live.deadlineAt === undefined || live.deadlineAt > now) return;
    const reason = `it did not end within its deadline of ${live.record.spec.deadline ?? ''}`;
    void end(live.record.id, { state: 'failed', reason }).catch(() => {});
  }

  function begin(live: LiveJob, index: number, before: TaskRow, found?: FoundTask): void {
    const work = attempt(live, index, before, found).finally(() => attempts.delete(work));
    attempts.add(work);
  }

  async function attempt(live: LiveJob, index: number, before: TaskRow, found?: FoundTask): Promise<void> {
    const now = clock.now();
    const row: TaskRow = found
      ? before
      : { state: 'running', attempt: before.attempt + 1, failures: before.failures, lost: before.lost, startedAt: now };
    const named = { job: live.record, index, attempt: row.attempt };
    const runId = runIdOf(named);
    const stop = new AbortController();
    const leaving = leave.signal;
    const onStop = (reason: StopReason) => stop.abort(reason);
    live.stops.set(index, onStop);
    inUse.add(runId);
    told(live.record.id);
    let timeout: NodeJS.Timeout | undefined;
    try {
      if (!found && !(await noteStart(live, index, row))) {
        live.settle(index, { ...before, state: 'queued' }, clock.monotonic());
        return;
      }
      const { timeoutMs } = live.resolved;
      const left = Math.max(timeoutMs - (clock.now() - (row.startedAt ?? now)), 0);
      timeout = setTimeout(onStop, Math.min(left, LONGEST_TIMER_MS), { kind: 'timeout', timeoutMs }).unref();
      const stream = streams.get(live.record.id);
      const input = stream || found ? undefined : await store.input(live.record, index);
      const ended = await runner.run(
        { ...named, input },
        {
          signal: stop.signal,
          // The connection of a streamed job is in this process, which goes on with it.
          leave: stream ? new AbortController().signal : leaving,
          stream,
          found,
          isOneOfMany: live.record.count > MANY_TASKS,
        },
      );
      await settle(live, index, row, ended);
    } catch (error) {
      // Another server goes on with it, or tells the same of it.
      if (leaving.aborted) return;
      await settle(live, index, row, { kind: 'lost', message: asEbbError(error).message });
    } finally {
      clearTimeout(timeout);
      live.stops.delete(index);
      inUse.delete(runId);
      told(live.record.id);
      pump();
    }
  }

  /** Notes an attempt before it begins, so that every one has a number of its own; false when that failed. */
  async function noteStart(live: LiveJob, index: number, row: TaskRow): Promise<boolean> {
    try {
      const isFirst = live.record.state === 'queued';
      if (isFirst) {
        update(live, { state: 'running', startedAt: live.record.startedAt ?? row.startedAt });
        setDeadline(live);
      }
      await Promise.all([store.saveTask(live.record.id, index, row), isFirst && store.saveJob(live.record)]);
      return true;
    } catch (error) {
      if (!leave.signal.aborted) {
        logger.error({ err: asEbbError(error), job: live.record.id }, 'a task could not be begun; it is tried again');
        pausedUntil = clock.monotonic() + AGAIN_MS;
      }
      return false;
    }
  }

  async function settle(live: LiveJob, index: number, row: TaskRow, ended: AttemptEnd): Promise<void> {
    const { record } = live;
    const now = clock.now();
    // A job that is being ended makes no more attempts.
    const isOver = record.ending !== undefined && (ended.kind === 'lost' || ended.kind === 'failed');
    const decided = decideTaskEnd(row, ended, { retries: record.spec.retries, now });
    const next: TaskRow =
      isOver && decided.row.state === 'queued' ? { ...decided.row, state: 'cancelled' } : decided.row;
    const stays = record.isStreamed && next.state === 'queued' ? ({ ...next, state: 'failed' } as const) : next;
    await insist(() => store.saveTask(record.id, index, stays));
    live.settle(index, stays, clock.monotonic() + (decided.waitMs ?? 0));
    live.last = stays;
    if (ended.kind === 'lost') {
      live.lost += 1;
      sweepSoon();
    }
    if (ended.kind === 'failed' || ended.kind === 'lost') {
      const again = stays.state === 'queued' ? '; it is tried again' : '';
      runner.say(
        { job: record, index, attempt: row.attempt },
        `task ${index}, attempt ${row.attempt}: ${ended.message}${again}`,
      );
    }
    await completeIfDone(live);
  }

  async function completeIfDone(live: LiveJob): Promise<void> {
    const { record, counts } = live;
    if (counts.running > 0 || (counts.queued > 0 && !record.ending) || orphans.has(record.id)) return;
    // Another server says how it ended; who streams it is told here.
    const isElsewhere = leave.signal.aborted;
    if (record.endedAt !== undefined || (isElsewhere && !record.isStreamed)) return;
    const { ending } = record;
    const how = ending ?? (counts.failed > 0 ? failedBy(counts.failed, record.count) : { state: 'succeeded' as const });
    const { ending: _, ...rest } = record;
    const done: JobRecord = {
      ...rest,
      ...how,
      endedAt: clock.now(),
      counts: { ...counts, queued: 0, cancelled: counts.cancelled + counts.queued },
      lost: live.lost,
    };
    live.record = done;
    await insist(() => store.saveJob(done));
    if (leave.signal.aborted && !done.isStreamed) return;
    records.set(done.id, done);
    lives.delete(done.id);
    runs?.endGroup(done.id);
    logger.info({ job: done.id, state: done.state, tasks: done.counts }, 'a job has ended');
    endListeners.get(done.id)?.(done, live.last);
    endListeners.delete(done.id);
    told(done.id);
    pump();
  }

  async function end(id: string, ending: NonNullable<JobRecord['ending']>): Promise<void> {
    const live = lives.get(id);
    if (!live || live.record.ending) return;
    const record = update(live, { ending });
    try {
      await store.saveJob(record);
    } finally {
      // Where it could not be noted, nothing is begun all the same until this server ends.
      for (const stop of live.stops.values()) stop({ kind: 'ended', reason: ending.reason });
    }
    await completeIfDone(live);
  }

  function add(record: JobRecord, tasks: ReadonlyMap<number, TaskRow>): LiveJob {
    records.set(record.id, record);
    const live = new LiveJob(record, tasks, (order += 1), clock.monotonic());
    lives.set(record.id, live);
    setDeadline(live);
    pump();
    // One whose tasks are all done already has nothing to wait for.
    void completeIfDone(live);
    return live;
  }

  /** Goes on with the attempts of an earlier server: those whose containers are there are joined, others are lost. */
  async function recover(): Promise<void> {
    while (orphans.size > 0 && !isHeld) {
      try {
        const needsList = [...orphans.keys()].some((id) => records.get(id)?.spec.image !== undefined);
        const found = new Map((needsList && runs ? await runs.list() : []).map((task) => [task.id, task]));
        if (isHeld) return;
        for (const [id, rows] of orphans) {
          orphans.delete(id);
          const live = lives.get(id);
          if (live) for (const [index, row] of rows) resume(live, index, row, found);
        }
        pump();
      } catch (error) {
        logger.warn({ err: asEbbError(error) }, 'the tasks of the last run could not be looked for; it is tried again');
        await sleep(AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  function resume(live: LiveJob, index: number, row: TaskRow, found: ReadonlyMap<string, FoundTask>): void {
    const container = found.get(runIdOf({ job: live.record, index, attempt: row.attempt }));
    if (container && container.state !== 'created') {
      begin(live, index, row, container);
      if (live.record.ending) live.stops.get(index)?.({ kind: 'ended', reason: live.record.ending.reason });
      return;
    }
    const work = settle(live, index, row, { kind: 'lost', message: 'the server was stopped while it ran' }).finally(
      () => attempts.delete(work),
    );
    attempts.add(work);
  }

  /** Removes containers that no attempt is in and no clean-up policy keeps (E1). */
  async function sweep(): Promise<void> {
    if (!runs || isHeld || orphans.size > 0) return;
    try {
      const found = await runs.list();
      await Promise.all(
        found
          .filter((task) => !isHeld && !inUse.has(task.id) && !isKept(task))
          .map(({ id }) => runs.stop(id, { graceMs: 0 })),
      );
    } catch (error) {
      logger.debug({ err: asEbbError(error) }, 'containers of tasks could not be looked through');
    }
  }

  /** What an attempt that was lost may have left is not waited for. */
  function sweepSoon(): void {
    sweepTimer ??= setTimeout(() => {
      sweepTimer = undefined;
      void sweep();
    }, AGAIN_MS).unref();
  }

  function isKept({ labels, state }: FoundTask): boolean {
    const record = records.get(labels.job);
    return state === 'exited' && record !== undefined && record.spec.cleanup !== 'always';
  }

  /** Finds the attempts that were left for another server, which did not come. */
  async function findLeft(): Promise<void> {
    for (const live of lives.values()) {
      if (live.counts.running === live.stops.size) continue;
      await insist(async () => {
        const rows = await store.tasks(live.record.id);
        const left = [...rows].filter(([index, { state }]) => state === 'running' && !live.stops.has(index));
        if (left.length > 0) orphans.set(live.record.id, new Map(left));
      });
    }
  }

  function run(): void {
    if (isClosed) return;
    isHeld = false;
    sweeper = setInterval(() => void sweep(), SWEEP_EVERY_MS).unref();
    void recover().then(sweep);
    pump();
  }

  return {
    streams,
    find: (id) => records.get(id),
    live: (id) => lives.get(id),
    all: () => [...records.values()],
    add,
    forget: (id) => void records.delete(id),
    end,
    changed,
    onEnd: (id, listener) => void endListeners.set(id, listener),
    async streamsEnded() {
      while (streams.size > 0) await Promise.race([...streams.keys()].map((id) => changed(id)));
    },
    async start(stored) {
      for (const record of stored.toSorted((a, b) => a.createdAt - b.createdAt)) {
        if (record.endedAt !== undefined) {
          records.set(record.id, record);
          continue;
        }
        const rows = await store.tasks(record.id);
        const running = new Map([...rows].filter(([, { state }]) => state === 'running'));
        if (running.size > 0) orphans.set(record.id, running);
        add(record, rows);
      }
      run();
    },
    async hold() {
      isHeld = true;
      clearInterval(sweeper);
      clearTimeout(timer);
      // Containers run on and are joined by whoever goes on; calls cannot be, so they get a moment.
      const calls = [...lives.values()].filter(({ record }) => record.spec.image === undefined);
      const areOver = (async () => {
        while (calls.some(({ stops }) => stops.size > 0)) await sleep(20, undefined, { ref: false });
      })();
      await Promise.race([areOver, sleep(HOLD_MS, undefined, { ref: false })]);
      for (const live of calls) for (const stop of live.stops.values()) stop({ kind: 'closing' });
      await areOver;
      leave.abort(new Error('another server goes on with it'));
      const streamed = [...lives.values()].some(({ record }) => record.isStreamed);
      if (!streamed) await Promise.all(attempts);
    },
    goOn() {
      if (!isHeld || isClosed) return;
      leave = new AbortController();
      // Only then is it known which containers are nobody's.
      void findLeft().then(run);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      const wasHeld = isHeld;
      isHeld = true;
      clearInterval(sweeper);
      clearTimeout(timer);
      // What another server has is not stopped.
      if (wasHeld) return;
      for (const live of lives.values()) for (const stop of live.stops.values()) stop({ kind: 'closing' });
      await Promise.all(attempts);
      leave.abort(new Error('the server has stopped'));
    },
  };
}

function failedBy(failed: number, count: number): { readonly state: 'failed'; readonly reason: string } {
  return { state: 'failed', reason: count === 1 ? 'its task failed' : `${failed} of ${count} tasks failed` };
}
