import type { JobResource } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import { newShortId } from '../core/ids.ts';
import type { Logger } from '../core/logger.ts';
import type { LogBook } from '../core/ports.ts';
import type { TaskRuns } from '../engines/engine.ts';
import type { AttemptRunner, TaskStream } from './attempt-runner.ts';
import { decideDependencies } from './decide-dependencies.ts';
import type { JobRecord, TaskRow } from './job-record.ts';
import { createJobBook } from './job-book.ts';
import { toJobResource, toTaskResource } from './job-resource.ts';
import { createJobScheduler, type JobSchedulerOptions } from './job-scheduler.ts';
import type { JobStore, NewJob } from './job-store.ts';
import type { Jobs } from './jobs.ts';
import { openJobStream } from './job-stream.ts';
import type { ResultFiles } from './result-files.ts';
import { INPUTS_PER_ENTRY } from './store-keys.ts';
import type { JobAdmission } from './admit-job.ts';

/** What {@link createJobs} is made with. */
export interface JobsOptions {
  readonly store: JobStore;
  readonly results: ResultFiles;
  readonly runner: AttemptRunner;
  readonly runs: TaskRuns | undefined;
  readonly admission: JobAdmission;
  readonly logs: Pick<LogBook, 'forget'>;
  readonly room: JobSchedulerOptions['room'];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Jobs that have ended are forgotten after this long. */
  readonly keptMs: number;
}

/** Batch jobs with the loop that runs them. */
export interface JobEngine extends Jobs, AsyncDisposable {
  /** Reads the jobs there are and goes on with those that have not ended. Throws STORE_FAILED. */
  start(): Promise<void>;
  /** Begins nothing more and writes nothing more: another server may go on. Containers run on. */
  hold(): Promise<void>;
  /** Goes on after {@link hold}, when no other server did. */
  goOn(): void;
  /** How many jobs of a namespace have not ended. */
  openIn(namespace: string): number;
  /** How the jobs that have not ended stand, for the metrics. */
  gauges(): Iterable<{
    readonly namespace: string;
    readonly open: number;
    readonly queued: number;
    readonly running: number;
  }>;
  /** Forgets all jobs of a namespace that have ended. */
  clear(namespace: string): Promise<void>;
  /** Resolves when no job is streamed any more, whose connections stay with this server. */
  streamsEnded(): Promise<void>;
}

const WATCH_EVERY_MS = 200;
const FORGET_EVERY_MS = 60_000;

/** Makes the batch jobs of a server. */
export function createJobs(options: JobsOptions): JobEngine {
  const { store, results, clock, logger, admission } = options;
  const book = createJobBook(options);
  const scheduler = createJobScheduler({ ...options, book });
  const { streams } = book;
  let forgetting: NodeJS.Timeout | undefined;

  const require = (namespace: string, id: string): JobRecord => {
    const record = book.find(id);
    if (record?.namespace === namespace) return record;
    throw new EbbError(
      'JOB_NOT_FOUND',
      `there is no job "${id}" in namespace "${namespace}"; "ebb job list" shows what there is`,
    );
  };
  const show = (record: JobRecord): JobResource => {
    const live = book.live(record.id);
    return toJobResource(record, live?.counts ?? record.counts, live?.lost ?? record.lost ?? 0);
  };
  const newId = (name: string): string => {
    for (;;) {
      const id = `${name.slice(0, 40).replace(/-+$/, '')}-${newShortId(4)}`;
      if (!book.find(id)) return id;
    }
  };

  async function accept(jobs: readonly NewJob[]): Promise<readonly JobResource[]> {
    await store.add(jobs);
    for (const { record, tasks } of jobs) scheduler.add(record, tasks);
    return jobs.map(({ record }) => show(record));
  }

  async function prepare(
    namespace: string,
    jobs: Parameters<Jobs['submit']>[1],
    more: Pick<JobRecord, 'isStreamed' | 'rerunOf'>,
    signal?: AbortSignal,
  ): Promise<readonly NewJob[]> {
    const named = jobs.map(({ name, spec }) => {
      const called = name ?? nameOf(spec.image ?? spec.function ?? 'job');
      return { id: newId(called), name: called, after: spec.after, spec };
    });
    const decision = decideDependencies(named, (id) => book.find(id)?.namespace === namespace);
    if (decision.kind === 'refused') throw new EbbError('JOB_DEPENDENCY_INVALID', decision.message);
    const now = clock.now();
    return Promise.all(
      named.map(async ({ id, name, spec }, index): Promise<NewJob> => {
        const { imageDigest } = await admission.admit(namespace, spec, signal);
        const { inputs, ...kept } = spec;
        return {
          record: {
            id,
            name,
            namespace,
            spec: { ...kept, after: [...(decision.after[index] ?? [])] },
            count: inputs?.length ?? spec.tasks ?? 1,
            inputEntries: Math.ceil((inputs?.length ?? 0) / INPUTS_PER_ENTRY),
            ...(imageDigest === undefined ? {} : { imageDigest }),
            state: 'queued',
            // Those of one submit are in the order they were written.
            createdAt: now,
            ...more,
          },
          inputs,
          tasks: new Map(),
        };
      }),
    );
  }

  async function remove(record: JobRecord): Promise<void> {
    const { runs } = options;
    if (runs && record.spec.cleanup !== 'always') {
      const found = await runs.list();
      const own = found.filter(({ labels }) => labels.job === record.id);
      await Promise.all(own.map(({ id }) => runs.stop(id, { graceMs: 0 })));
    }
    await store.remove(record);
    scheduler.forget(record.id);
    await results.remove(record.id);
    await options.logs.forget(record.namespace, record.id);
  }

  async function forgetOld(): Promise<void> {
    const before = clock.now() - options.keptMs;
    for (const record of book.all()) {
      if (record.endedAt === undefined || record.endedAt >= before) continue;
      await remove(record).catch((error: unknown) => {
        logger.warn({ job: record.id, err: error }, 'an old job could not be removed; it is tried again');
      });
    }
  }

  async function rowOf(record: JobRecord, index: number): Promise<TaskRow | undefined> {
    if (!Number.isInteger(index) || index < 0 || index >= record.count) {
      throw new EbbError(
        'TASK_NOT_FOUND',
        `the job "${record.id}" has no task ${index}, only 0 to ${record.count - 1}`,
      );
    }
    return (await store.taskPage(record.id, index)).get(index);
  }

  return {
    submit: async (namespace, jobs, signal) => accept(await prepare(namespace, jobs, {}, signal)),
    async stream(namespace, job, input, signal) {
      const { spec } = job;
      const count = spec.inputs?.length ?? spec.tasks ?? 1;
      const wrong =
        spec.image === undefined
          ? 'needs an image'
          : count !== 1 || spec.inputs
            ? 'must have one task and no inputs'
            : spec.retries > 0
              ? 'cannot be tried again: what was sent is gone, so "retries" must be 0'
              : undefined;
      if (wrong !== undefined) throw new EbbError('INVALID_REQUEST', `a job whose input is streamed ${wrong}`);
      const [prepared] = await prepare(namespace, [job], { isStreamed: true }, signal);
      if (!prepared) throw new TypeError('one job was prepared and none came');
      const { id } = prepared.record;
      const opened = openJobStream(input, signal);
      const taskStream: TaskStream = opened;
      streams.set(id, taskStream);
      await accept([prepared]);
      const cancel = () => scheduler.end(id, { state: 'cancelled', reason: 'who streamed its input went away' });
      signal.addEventListener('abort', () => void cancel().catch(() => {}), { once: true });
      if (signal.aborted) void cancel().catch(() => {});
      book.onEnd(id, (record, row) => {
        streams.delete(id);
        opened.end({ job: show(record), task: toTaskResource(0, row, true) });
      });
      return opened.pieces;
    },
    list(namespace, { state, name, limit }) {
      const found = book
        .all()
        .filter((record) => record.namespace === namespace)
        .filter(
          (record) => (state === undefined || record.state === state) && (name === undefined || record.name === name),
        );
      return found.slice(-limit).toReversed().map(show);
    },
    get: (namespace, id) => show(require(namespace, id)),
    async *watch(namespace, id, signal) {
      for (;;) {
        const record = require(namespace, id);
        // One that has ended changes no more: nothing is kept for who would wait for it.
        const changed = record.endedAt === undefined ? book.changed(id) : undefined;
        yield show(record);
        if (!changed || signal.aborted) return;
        await Promise.race([changed, aborted(signal)]);
        if (signal.aborted) return;
        // What changes often is told a few times a second.
        await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS));
      }
    },
    async tasks(namespace, id, { state, from, limit }) {
      const record = require(namespace, id);
      const isOver = record.endedAt !== undefined;
      const found = [];
      let page: ReadonlyMap<number, TaskRow> = new Map();
      for (let index = from; index < record.count && found.length < limit; index += 1) {
        if (index === from || index % 1000 === 0) page = await store.taskPage(id, index);
        const task = toTaskResource(index, page.get(index), isOver);
        if (state === undefined || task.state === state) found.push(task);
      }
      return found;
    },
    async result(namespace, id, index) {
      const row = await rowOf(require(namespace, id), index);
      const { result } = row ?? {};
      if (!result) {
        throw new EbbError(
          'TASK_RESULT_NOT_FOUND',
          `task ${index} of "${id}" has no result; "ebb job tasks ${id}" shows why`,
        );
      }
      const { sizeBytes, contentType } = result;
      return { sizeBytes, contentType, open: () => results.open(id, index, result) };
    },
    async cancel(namespace, id) {
      const record = require(namespace, id);
      if (record.endedAt !== undefined) {
        throw new EbbError(
          'JOB_ENDED',
          `the job "${id}" has ended: it ${record.state === 'cancelled' ? 'was ' : ''}${record.state}`,
        );
      }
      await scheduler.end(id, { state: 'cancelled', reason: 'it was cancelled' });
      return show(require(namespace, id));
    },
    async rerun(namespace, id, { failedOnly }) {
      const record = require(namespace, id);
      if (record.endedAt === undefined) {
        throw new EbbError('JOB_NOT_ENDED', `the job "${id}" has not ended, so it cannot be run again yet`);
      }
      if (record.isStreamed) {
        throw new EbbError(
          'INVALID_REQUEST',
          `the input of "${id}" was streamed and is gone, so it cannot be run again`,
        );
      }
      if (failedOnly && record.counts?.succeeded === record.count) {
        throw new EbbError('NOTHING_TO_RERUN', `all ${record.count} tasks of "${id}" succeeded`);
      }
      const inputs = await store.inputs(record);
      const { spec, name } = record;
      // What it came after has been waited for once.
      const again = { ...spec, after: [], ...(inputs === undefined ? {} : { inputs: [...inputs] }) };
      const [prepared] = await prepare(namespace, [{ name, spec: again }], { rerunOf: id });
      if (!prepared) throw new TypeError('one job was prepared and none came');
      const kept = new Map<number, TaskRow>();
      if (failedOnly) {
        for (const [index, row] of await store.tasks(id)) {
          if (row.state !== 'succeeded') continue;
          kept.set(index, { ...row, keptFrom: row.keptFrom ?? id });
          if (row.result) await results.share(id, prepared.record.id, index, row.result);
        }
      }
      const [job] = await accept([{ ...prepared, tasks: kept }]);
      if (!job) throw new TypeError('one job was accepted and none came');
      return job;
    },
    async remove(namespace, id) {
      const record = require(namespace, id);
      if (record.endedAt === undefined) {
        throw new EbbError('JOB_NOT_ENDED', `the job "${id}" has not ended; "ebb job cancel ${id}" ends it`);
      }
      await remove(record);
    },
    async start() {
      await scheduler.start(await store.jobs());
      forgetting = setInterval(() => void forgetOld(), FORGET_EVERY_MS).unref();
    },
    openIn: (namespace) =>
      book.all().filter((record) => record.namespace === namespace && record.endedAt === undefined).length,
    gauges() {
      const open = book.all().filter(({ endedAt }) => endedAt === undefined);
      return Array.from(
        Map.groupBy(open, ({ namespace }) => namespace),
        ([namespace, records]) => {
          const counts = records.map(({ id }) => book.live(id)?.counts);
          const sum = (state: 'queued' | 'running') => counts.reduce((all, one) => all + (one?.[state] ?? 0), 0);
          return { namespace, open: records.length, queued: sum('queued'), running: sum('running') };
        },
      );
    },
    async clear(namespace) {
      for (const record of book.all()) {
        if (record.namespace === namespace && record.endedAt !== undefined) await remove(record);
      }
    },
    streamsEnded: () => scheduler.streamsEnded(),
    async hold() {
      clearInterval(forgetting);
      await scheduler.hold();
    },
    goOn() {
      forgetting = setInterval(() => void forgetOld(), FORGET_EVERY_MS).unref();
      scheduler.goOn();
    },
    async [Symbol.asyncDispose]() {
      clearInterval(forgetting);
      await scheduler.close();
    },
  };
}

/** A name for a job of an image or function: the last part of its own, as far as it can be one. */
function nameOf(reference: string): string {
  const last =
    reference
      .replace(/[@:][^/]*$/, '')
      .split('/')
      .at(-1) ?? '';
  const name = last
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return name.replace(/-+$/, '') || 'job';
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
