import type { JobQuery, JobResource, SubmitJobs, TaskQuery, TaskResource } from '@ebb/contract';
import type { KeptBody } from '../core/ports.ts';

/** Batch jobs. What names a job throws JOB_NOT_FOUND where there is none. */
export interface Jobs {
  /**
   * Accepts jobs, all or none; on disk when it resolves. Throws JOB_DEPENDENCY_INVALID, SECRET_NOT_FOUND,
   * FUNCTION_NOT_FOUND, UNSUPPORTED_BY_ENGINE, IMAGE_NOT_FOUND, IMAGE_REFUSED, STORE_FAILED.
   */
  submit(namespace: string, jobs: SubmitJobs['jobs'], signal?: AbortSignal): Promise<readonly JobResource[]>;
  /**
   * Runs a job of one task whose standard input is `input` and whose output is what is yielded, framed as JOB_STREAM
   * says; the last piece is the job. Aborting `signal` cancels it. Throws as {@link submit}, and INVALID_REQUEST for a
   * spec that cannot be streamed.
   */
  stream(
    namespace: string,
    job: SubmitJobs['jobs'][number],
    input: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>>;
  /** Newest first. */
  list(namespace: string, query: JobQuery): readonly JobResource[];
  get(namespace: string, id: string): JobResource;
  /** How a job stands, now and after changes, until it has ended or `signal` aborts. */
  watch(namespace: string, id: string, signal: AbortSignal): AsyncIterable<JobResource>;
  tasks(namespace: string, id: string, query: TaskQuery): Promise<readonly TaskResource[]>;
  /** Throws TASK_NOT_FOUND, TASK_RESULT_NOT_FOUND. */
  result(namespace: string, id: string, index: number): Promise<KeptBody>;
  /** Begins no more tasks and stops those that run. Throws JOB_ENDED. */
  cancel(namespace: string, id: string): Promise<JobResource>;
  /**
   * Submits a job again, with `failedOnly` keeping the results of the tasks that succeeded. Throws JOB_NOT_ENDED,
   * NOTHING_TO_RERUN and what {@link submit} throws.
   */
  rerun(namespace: string, id: string, options: { readonly failedOnly: boolean }): Promise<JobResource>;
  /** Forgets a job that has ended, with its results, log and containers. Throws JOB_NOT_ENDED. */
  remove(namespace: string, id: string): Promise<void>;
}
