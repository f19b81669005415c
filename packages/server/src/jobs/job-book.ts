import type { Clock } from '../core/clock.ts';
import { IndexedHeap } from '../core/indexed-heap.ts';
import type { TaskStream } from './attempt-runner.ts';
import { decideAfter } from './decide-dependencies.ts';
import type { JobRecord, TaskRow } from './job-record.ts';
import { type JobRoom, JobTurns } from './job-turns.ts';
import { LiveJob } from './live-job.ts';

/** Calls of a function at once where a job does not say. */
const USUAL_CALLS = 32;

/** A task whose turn it is. */
export interface NextTask {
  readonly live: LiveJob;
  readonly index: number;
  /** As it stood before. */
  readonly row: TaskRow;
}

/**
 * Every job there is, how those that have not ended stand, and whose turn it is. Taking the next task looks at the jobs
 * that have been touched since, not at all of them.
 */
export interface JobBook {
  /** Connections of jobs that are streamed, by id. */
  readonly streams: Map<string, TaskStream>;
  /** Attempts of an earlier server whose containers are to be found, by job; whoever changes it touches the job. */
  readonly orphans: Map<string, ReadonlyMap<number, TaskRow>>;
  find(id: string): JobRecord | undefined;
  live(id: string): LiveJob | undefined;
  /** All jobs, oldest first. */
  all(): readonly JobRecord[];
  /** Those that have not ended. */
  lives(): readonly LiveJob[];
  /** Takes in a job that has ended. */
  keep(record: JobRecord): void;
  /** Takes in a job that has not ended, with the tasks that have begun. */
  add(record: JobRecord, tasks: ReadonlyMap<number, TaskRow>): LiveJob;
  update(live: LiveJob, change: Partial<JobRecord>): JobRecord;
  /** Takes note of when a job that has begun is to have ended. */
  setDeadline(live: LiveJob): void;
  /** Takes note that a job has ended as `record` says, and tells who waits for it. */
  ended(live: LiveJob, record: JobRecord): void;
  forget(id: string): void;
  /** Says that a job may stand otherwise than when it was looked at last. */
  touch(live: LiveJob): void;
  /** Resolves with the next change of a job. */
  changed(id: string): Promise<void>;
  /** Tells who waits for a change of a job. */
  tell(id: string): void;
  /** Calls `listener` once when the job has ended, with the row of the task that ended last. */
  onEnd(id: string, listener: (record: JobRecord, last: TaskRow | undefined) => void): void;
  /** Looks at the jobs that were touched, or have something due: those whose deadline is over, and that can never begin. */
  look(nowMs: number): readonly DoomedJob[];
  /** Takes the task that may begin next out of its queue; after a {@link look} that found nothing to end. */
  take(room: JobRoom, nowMs: number): NextTask | undefined;
  /** Whether a task could begin if there were room. */
  readonly isReady: boolean;
  /** When the next task that waits, or deadline, is due; on the clock that never goes backwards. */
  nextAt(): number | undefined;
}

/** A job that is to be ended, and why. */
export interface DoomedJob {
  readonly live: LiveJob;
  readonly reason: string;
}

/** Makes a book without jobs. */
export function createJobBook({ clock }: { readonly clock: Clock }): JobBook {
  const records = new Map<string, JobRecord>();
  const lives = new Map<string, LiveJob>();
  const streams: JobBook['streams'] = new Map();
  const orphans: JobBook['orphans'] = new Map();
  const changes = new Map<string, PromiseWithResolvers<void>>();
  const endListeners = new Map<string, Parameters<JobBook['onEnd']>[1]>();
  /** Jobs that have not ended, by those they come after. */
  const followers = new Map<string, Set<LiveJob>>();
  const turns = new JobTurns();
  const alarms = new IndexedHeap<LiveJob>((one, other) => one.alarmAt < other.alarmAt);
  let touched = new Set<LiveJob>();
  let order = 0;

  const tell = (id: string) => {
    const change = changes.get(id);
    changes.delete(id);
    change?.resolve();
  };
  const touchFollowers = (id: string) => {
    for (const live of followers.get(id) ?? []) touched.add(live);
  };

  function putTurn(live: LiveJob, nowMs: number, mayBegin: boolean): void {
    const { record } = live;
    const isContainer = record.spec.image !== undefined;
    turns.put({
      id: record.id,
      namespace: record.namespace,
      isContainer,
      running: live.counts.running,
      isReady: mayBegin && !record.ending && !orphans.has(record.id) && live.isReady(nowMs),
      parallelism: record.spec.parallelism ?? (isContainer ? Number.POSITIVE_INFINITY : USUAL_CALLS),
      memoryBytes: live.resolved.memoryBytes,
      order: live.order,
    });
  }

  function setAlarm(live: LiveJob, nowMs: number): void {
    const awaited = live.record.ending ? [] : [live.nextReadyAt(), live.deadlineAt];
    const ahead = awaited.filter((at) => at !== undefined && at > nowMs) as readonly number[];
    alarms.remove(live);
    live.alarmAt = Math.min(...ahead);
    if (ahead.length > 0) alarms.place(live);
  }

  function begins({ record }: LiveJob): ReturnType<typeof decideAfter> {
    if (record.spec.after.length === 0 || record.startedAt !== undefined || record.ending) return { kind: 'begin' };
    return decideAfter(record.spec.after.map((id) => ({ id, state: records.get(id)?.state })));
  }

  function setDeadline(live: LiveJob): void {
    const { deadlineMs } = live.resolved;
    const { startedAt } = live.record;
    if (deadlineMs === undefined || startedAt === undefined) return;
    const nowMs = clock.monotonic();
    live.deadlineAt = nowMs + deadlineMs - Math.max(clock.now() - startedAt, 0);
    // One that is over already is seen at the next look.
    setAlarm(live, Math.min(nowMs, live.deadlineAt - 1));
  }

  return {
    streams,
    orphans,
    find: (id) => records.get(id),
    live: (id) => lives.get(id),
    all: () => [...records.values()],
    lives: () => [...lives.values()],
    keep: (record) => void records.set(record.id, record),
    add(record, tasks) {
      records.set(record.id, record);
      const live = new LiveJob(record, tasks, (order += 1), clock.monotonic());
      lives.set(record.id, live);
      for (const id of record.spec.after) followers.set(id, (followers.get(id) ?? new Set()).add(live));
      setDeadline(live);
      touched.add(live);
      return live;
    },
    update(live, change) {
      live.record = { ...live.record, ...change };
      records.set(live.record.id, live.record);
      touched.add(live);
      tell(live.record.id);
      return live.record;
    },
    setDeadline,
    ended(live, record) {
      const { id } = record;
      records.set(id, record);
      lives.delete(id);
      turns.delete(id);
      alarms.remove(live);
      touched.delete(live);
      for (const other of record.spec.after) {
        const waiting = followers.get(other);
        if (waiting?.delete(live) === true && waiting.size === 0) followers.delete(other);
      }
      touchFollowers(id);
      endListeners.get(id)?.(record, live.last);
      endListeners.delete(id);
      tell(id);
    },
    forget(id) {
      records.delete(id);
      touchFollowers(id);
    },
    touch: (live) => void touched.add(live),
    changed(id) {
      const change = changes.get(id) ?? Promise.withResolvers<void>();
      changes.set(id, change);
      return change.promise;
    },
    tell,
    onEnd: (id, listener) => void endListeners.set(id, listener),
    look(nowMs) {
      for (let live = alarms.first; live && live.alarmAt <= nowMs; live = alarms.first) {
        alarms.remove(live);
        touched.add(live);
      }
      const looked = touched;
      touched = new Set();
      const doomed: DoomedJob[] = [];
      for (const live of looked) {
        // It may have ended since.
        if (lives.get(live.record.id) !== live) continue;
        const decision = begins(live);
        putTurn(live, nowMs, decision.kind === 'begin');
        setAlarm(live, nowMs);
        const { ending, spec } = live.record;
        if (decision.kind === 'skip') doomed.push({ live, reason: decision.reason });
        else if (!ending && live.deadlineAt !== undefined && live.deadlineAt <= nowMs)
          doomed.push({ live, reason: `it did not end within its deadline of ${spec.deadline ?? ''}` });
      }
      return doomed;
    },
    take(room, nowMs) {
      const id = turns.next(room);
      const live = id === undefined ? undefined : lives.get(id);
      const taken = live?.take(nowMs);
      if (!live || !taken) return undefined;
      putTurn(live, nowMs, true);
      setAlarm(live, nowMs);
      return { live, ...taken };
    },
    get isReady() {
      return !turns.isEmpty;
    },
    nextAt: () => alarms.first?.alarmAt,
  };
}
