import type { KeyValue, Write } from '../store/key-value.ts';
import { type JobRecord, readJobRecord, readTaskRow, type TaskRow } from './job-record.ts';
import { indexOfTaskKey, INPUTS_PER_ENTRY, inputsKey, jobKey, JOBS, taskKey, taskPageKey } from './store-keys.ts';

/** Writes of one commit; more wait for the next, so that nobody else waits long for the store. */
const WRITES_A_COMMIT = 500;

/** What is kept of jobs. Every write is on disk when its promise resolves; throws STORE_FAILED. */
export interface JobStore {
  jobs(): Promise<readonly JobRecord[]>;
  /** Stores new jobs, all or none in force, with their inputs and the tasks that are done already. */
  add(jobs: readonly NewJob[]): Promise<void>;
  saveJob(record: JobRecord): Promise<void>;
  /** Stores a task together with others that are stored at the moment. */
  saveTask(id: string, index: number, row: TaskRow): Promise<void>;
  /** The stored tasks of a job, by index. */
  tasks(id: string): Promise<ReadonlyMap<number, TaskRow>>;
  /** Of the thousand tasks around an index those that are stored. */
  taskPage(id: string, index: number): Promise<ReadonlyMap<number, TaskRow>>;
  /** The input of a task; undefined where it has none. */
  input(record: JobRecord, index: number): Promise<string | undefined>;
  inputs(record: JobRecord): Promise<readonly string[] | undefined>;
  /** Removes all there is of a job. */
  remove(record: JobRecord): Promise<void>;
}

/** A job that is stored for the first time. */
export interface NewJob {
  readonly record: JobRecord;
  readonly inputs: readonly string[] | undefined;
  readonly tasks: ReadonlyMap<number, TaskRow>;
}

/** Inputs of the entries that were read last, so that the tasks of a job do not each read theirs anew. */
const REMEMBERED_ENTRIES = 64;

/** Keeps jobs in the key-value store. Tasks of all jobs share commits: one fsync stores what came during the last. */
export function createJobStore(store: KeyValue): JobStore {
  let waiting: { readonly write: Write; readonly done: PromiseWithResolvers<void> }[] = [];
  let isWriting = false;
  const entries = new Map<string, readonly string[]>();

  const commit = async (writes: readonly Write[]): Promise<void> => {
    for (let from = 0; from < writes.length; from += WRITES_A_COMMIT) {
      await store.commit(writes.slice(from, from + WRITES_A_COMMIT));
    }
  };

  async function writeWaiting(): Promise<void> {
    if (isWriting) return;
    isWriting = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, WRITES_A_COMMIT);
      waiting = waiting.slice(WRITES_A_COMMIT);
      try {
        await store.commit(batch.map(({ write }) => write));
        for (const { done } of batch) done.resolve();
      } catch (error) {
        for (const { done } of batch) done.reject(error);
      }
    }
    isWriting = false;
  }

  async function entryOf(id: string, entry: number): Promise<readonly string[]> {
    const key = inputsKey(id, entry);
    const known = entries.get(key);
    if (known) return known;
    const found = await store.get(key);
    const read = found ? (JSON.parse(found.value) as readonly string[]) : [];
    if (entries.size >= REMEMBERED_ENTRIES) entries.delete(entries.keys().next().value ?? '');
    entries.set(key, read);
    return read;
  }

  const rowsOf = async (prefix: string) =>
    new Map((await store.list(prefix)).map(({ key, value }) => [indexOfTaskKey(key), readTaskRow(value)]));

  return {
    async jobs() {
      const found = await store.list(JOBS);
      return found.map(({ value }) => readJobRecord(value)).filter((record) => record !== undefined);
    },
    async add(jobs) {
      // The records come last and in one commit: without them nothing of the rest is ever looked at.
      await commit(
        jobs.flatMap(({ record, inputs = [], tasks }) => [
          ...Array.from({ length: record.inputEntries }, (_, entry): Write => {
            const from = entry * INPUTS_PER_ENTRY;
            const value = JSON.stringify(inputs.slice(from, from + INPUTS_PER_ENTRY));
            return { kind: 'set', key: inputsKey(record.id, entry), value };
          }),
          ...[...tasks].map(([index, row]): Write => ({
            kind: 'set',
            key: taskKey(record.id, index),
            value: JSON.stringify(row),
          })),
        ]),
      );
      await store.commit(jobs.map(({ record }) => jobWrite(record)));
    },
    async saveJob(record) {
      await store.commit([jobWrite(record)]);
    },
    saveTask(id, index, row) {
      const done = Promise.withResolvers<void>();
      waiting.push({ write: { kind: 'set', key: taskKey(id, index), value: JSON.stringify(row) }, done });
      void writeWaiting();
      return done.promise;
    },
    tasks: (id) => rowsOf(taskKey(id)),
    taskPage: (id, index) => rowsOf(taskPageKey(id, index)),
    async input({ id, inputEntries }, index) {
      if (inputEntries === 0) return undefined;
      return (await entryOf(id, Math.floor(index / INPUTS_PER_ENTRY)))[index % INPUTS_PER_ENTRY];
    },
    async inputs({ id, inputEntries }) {
      if (inputEntries === 0) return undefined;
      const found = await store.list(inputsKey(id));
      return found.flatMap(({ value }) => JSON.parse(value) as string[]);
    },
    async remove({ id, namespace, inputEntries }) {
      // The record goes last: what is left of a removal that was cut off is removed with it later.
      const tasks = await store.list(taskKey(id));
      await commit([
        ...tasks.map(({ key }): Write => ({ kind: 'delete', key })),
        ...Array.from({ length: inputEntries }, (_, entry): Write => ({ kind: 'delete', key: inputsKey(id, entry) })),
      ]);
      await store.commit([{ kind: 'delete', key: jobKey(namespace, id) }]);
    },
  };
}

function jobWrite(record: JobRecord): Write {
  return { kind: 'set', key: jobKey(record.namespace, record.id), value: JSON.stringify(record) };
}
