import type { JobRecord } from './job-record.ts';

/** One attempt of a task. */
export interface TaskAttempt {
  readonly job: JobRecord;
  readonly index: number;
  /** From 1. */
  readonly attempt: number;
  readonly input: string | undefined;
}

/** Inputs up to this size are in the environment as well; longer ones could keep a program from starting. */
const MAX_ENV_INPUT_BYTES = 32_768;

/** The id of an attempt's container; it names the job by its random part, so it is unique in the installation. */
export function runIdOf({ job, index, attempt }: Pick<TaskAttempt, 'job' | 'index' | 'attempt'>): string {
  return `job-${job.id.slice(job.id.lastIndexOf('-') + 1)}-${index}-${attempt}`;
}

/** The call id of a task that is a call: the same for all its attempts. */
export function taskCallId({ job, index }: Pick<TaskAttempt, 'job' | 'index'>): string {
  return `${job.id}.${index}`;
}

/** What the platform says to a task in its environment: under its own names and under those the field knows. */
export function taskEnvironment({ job, index, attempt, input }: TaskAttempt): Record<string, string> {
  const [task, count, number] = [String(index), String(job.count), String(attempt)];
  const isShort = input !== undefined && Buffer.byteLength(input) <= MAX_ENV_INPUT_BYTES && !input.includes('\0');
  return {
    EBB_JOB: job.id,
    EBB_NAMESPACE: job.namespace,
    EBB_TASK_INDEX: task,
    EBB_TASK_COUNT: count,
    EBB_TASK_ATTEMPT: number,
    ...(isShort ? { EBB_TASK_INPUT: input } : {}),
    CLOUD_RUN_EXECUTION: job.id,
    CLOUD_RUN_TASK_INDEX: task,
    CLOUD_RUN_TASK_COUNT: count,
    // This one counts from 0.
    CLOUD_RUN_TASK_ATTEMPT: String(attempt - 1),
    JOB_COMPLETION_INDEX: task,
    AWS_BATCH_JOB_ARRAY_INDEX: task,
    AWS_BATCH_JOB_ARRAY_SIZE: count,
    AWS_BATCH_JOB_ATTEMPT: number,
    SLURM_ARRAY_TASK_ID: task,
    SLURM_ARRAY_TASK_COUNT: count,
  };
}

/** What the body of a task’s call is. */
export function inputHeaders({ input }: TaskAttempt): readonly string[] {
  if (input === undefined) return [];
  return ['content-type', isJson(input) ? 'application/json' : 'text/plain; charset=utf-8'];
}

/** What the platform says to a task that is a call. */
export function taskHeaders({ job, index, attempt }: TaskAttempt): readonly string[] {
  return [
    'X-Ebb-Job',
    job.id,
    'X-Ebb-Task-Index',
    String(index),
    'X-Ebb-Task-Count',
    String(job.count),
    'X-Ebb-Task-Attempt',
    String(attempt),
  ];
}

/** Objects and lists are sent as what they are; anything else is text. */
function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
