import { JOB_STATES, jobSpecSchema, type TaskCounts, taskCountsSchema } from '@ebb/contract';
import { z } from 'zod';

/** How a job that is being ended will stand, and why. */
const endingSchema = z.object({ state: z.enum(['failed', 'cancelled']), reason: z.string() });

const recordSchema = z.object({
  id: z.string(),
  name: z.string(),
  namespace: z.string(),
  /** Without the inputs, which have entries of their own. */
  spec: jobSpecSchema,
  count: z.number(),
  inputEntries: z.number(),
  imageDigest: z.string().optional(),
  state: z.enum(JOB_STATES),
  reason: z.string().optional(),
  /** Present from the moment it is decided until what runs has been stopped. */
  ending: endingSchema.optional(),
  createdAt: z.number(),
  startedAt: z.number().optional(),
  endedAt: z.number().optional(),
  rerunOf: z.string().optional(),
  /** Whether its standard input and output are those of a connection. */
  isStreamed: z.literal(true).optional(),
  /** Written with its end; counted from the tasks before. */
  counts: taskCountsSchema.optional(),
  lost: z.number().optional(),
});

/** A job as it is stored. It is written when its state changes, never for a task. */
export type JobRecord = z.output<typeof recordSchema>;

const rowSchema = z.object({
  state: z.enum(JOB_STATES),
  attempt: z.number(),
  failures: z.number(),
  lost: z.number(),
  startedAt: z.number().optional(),
  endedAt: z.number().optional(),
  exitCode: z.number().optional(),
  signal: z.string().optional(),
  outOfMemory: z.literal(true).optional(),
  status: z.number().optional(),
  message: z.string().optional(),
  result: z
    .object({
      sizeBytes: z.number(),
      truncated: z.literal(true).optional(),
      contentType: z.string().optional(),
      /** The bytes in base64, where they are few; else they are in a file. */
      bytes: z.string().optional(),
    })
    .optional(),
  keptFrom: z.string().optional(),
});

/** A task as it is stored, from its first attempt on. One that is not stored is queued, or was when its job ended. */
export type TaskRow = z.output<typeof rowSchema>;

/** What is kept of a task's output. */
export type TaskResult = NonNullable<TaskRow['result']>;

/** A task before its first attempt. */
export const NEW_TASK: TaskRow = { state: 'queued', attempt: 0, failures: 0, lost: 0 };

/** Counts of a job whose tasks have not begun. */
export function noneOf(count: number): TaskCounts {
  return { queued: count, running: 0, succeeded: 0, failed: 0, cancelled: 0 };
}

/** Reads a stored job; undefined for one that a newer server wrote in a way not known here. */
export function readJobRecord(text: string): JobRecord | undefined {
  return recordSchema.safeParse(JSON.parse(text)).data;
}

/** Reads a stored task. */
export function readTaskRow(text: string): TaskRow {
  return rowSchema.parse(JSON.parse(text));
}
