import { z } from 'zod';
import { jobSpecSchema } from './job-spec.ts';
import { nameSchema } from './names.ts';

/** Where a job stands. `queued` and `running` change, the others are final. */
export const JOB_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;
/** Where a job stands. */
export type JobState = (typeof JOB_STATES)[number];

/** Where a task stands; the same words as for jobs. */
export type TaskState = JobState;

/** How many tasks of a job are in each state. */
export const taskCountsSchema = z.object({
  queued: z.number().int(),
  running: z.number().int(),
  succeeded: z.number().int(),
  failed: z.number().int(),
  cancelled: z.number().int(),
});
export type TaskCounts = z.output<typeof taskCountsSchema>;

/** A job as the API shows it. */
export const jobResourceSchema = z.object({
  id: z.string(),
  name: nameSchema,
  namespace: nameSchema,
  state: z.enum(JOB_STATES),
  /** Why it stands where it does, in one sentence, where there is something to say. */
  reason: z.string().optional(),
  /** As submitted with defaults filled in, without the inputs. */
  spec: jobSpecSchema,
  count: z.number().int().describe('How many tasks it has.'),
  tasks: taskCountsSchema,
  /** Attempts that were lost by fault of the platform and made again. */
  lost: z.number().int(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().optional(),
  endedAt: z.iso.datetime().optional(),
  /** The job of which this one makes tasks again. */
  rerunOf: z.string().optional(),
});
export type JobResource = z.output<typeof jobResourceSchema>;

/** What is kept of what a task wrote to standard output, or a function answered; the bytes are asked for separately. */
export const taskResultSchema = z.object({
  sizeBytes: z.number().int(),
  /** Present where more was written than is kept. */
  truncated: z.literal(true).optional(),
  contentType: z.string().optional(),
});

/** A task as the API shows it. */
export const taskResourceSchema = z.object({
  index: z.number().int().describe('From 0.'),
  state: z.enum(JOB_STATES),
  /** Number of the last attempt, from 1; 0 when none was made. */
  attempt: z.number().int(),
  /** Attempts that failed by the task's own fault. */
  failures: z.number().int(),
  /** Attempts that were lost by fault of the platform. */
  lost: z.number().int(),
  startedAt: z.iso.datetime().optional(),
  endedAt: z.iso.datetime().optional(),
  exitCode: z.number().int().optional(),
  signal: z.string().optional(),
  outOfMemory: z.literal(true).optional(),
  /** Status of the answer, for a call of a function. */
  status: z.number().int().optional(),
  /** Why the last attempt did not succeed, in one sentence. */
  message: z.string().optional(),
  result: taskResultSchema.optional(),
  /** The job whose task this is: a re-run keeps the good ones of the job before. */
  keptFrom: z.string().optional(),
});
export type TaskResource = z.output<typeof taskResourceSchema>;

/** Jobs that are submitted together; `after` may name each other. */
export const submitJobsSchema = z.strictObject({
  jobs: z
    .array(
      z.strictObject({
        name: nameSchema.optional().describe('What the job is called. Default: after its image or function.'),
        spec: jobSpecSchema,
      }),
    )
    .min(1)
    .max(100),
});
export type SubmitJobs = z.output<typeof submitJobsSchema>;
export type SubmitJobsInput = z.input<typeof submitJobsSchema>;

/** Which jobs are asked for; newest first. */
export const jobQuerySchema = z.strictObject({
  state: z.enum(JOB_STATES).optional().describe('Only jobs that stand so.'),
  name: nameSchema.optional().describe('Only jobs of this name.'),
  limit: z.coerce.number().int().min(1).max(10_000).default(100).describe('At most so many.'),
});
export type JobQuery = z.output<typeof jobQuerySchema>;

/** Which tasks are asked for; by index. */
export const taskQuerySchema = z.strictObject({
  state: z.enum(JOB_STATES).optional().describe('Only tasks that stand so.'),
  from: z.coerce.number().int().min(0).default(0).describe('Index of the first task, from 0.'),
  limit: z.coerce.number().int().min(1).max(10_000).default(100).describe('At most so many.'),
});
export type TaskQuery = z.output<typeof taskQuerySchema>;

/** Kinds of pieces in the answer of a job whose standard input and output are streamed. */
export const JOB_STREAM = { output: 1, error: 2, end: 3 } as const;
/** Before each piece: its kind in one byte, then its length in four, the highest first. */
export const JOB_STREAM_HEADER_BYTES = 5;
