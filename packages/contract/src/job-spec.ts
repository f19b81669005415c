import { z } from 'zod';
import { functionReferenceSchema, nameSchema } from './names.ts';
import { parseCpuCores, parseDurationMs, parseSizeBytes } from './quantity.ts';
import { duration } from './quantity-schema.ts';
import { imageSchema, sandboxFields } from './sandbox-spec.ts';

const DAY = 86_400_000;

/** Most tasks of one job. */
export const MAX_TASKS = 100_000;
/** Longest input of one task, in characters. */
export const MAX_INPUT_LENGTH = 65_536;

/** When the container of a task that has ended is removed; those that stay go with their job. */
export const CLEANUPS = ['always', 'on-success', 'never'] as const;
/** When the container of a task that has ended is removed. */
export type Cleanup = (typeof CLEANUPS)[number];

/** Variables the platform sets in every task; a user's would be lost. The field's usual names among them. */
export const TASK_ENV = [
  'EBB_JOB',
  'EBB_NAMESPACE',
  'EBB_SECRETS_DIR',
  'EBB_TASK_ATTEMPT',
  'EBB_TASK_COUNT',
  'EBB_TASK_INDEX',
  'EBB_TASK_INPUT',
  'CLOUD_RUN_EXECUTION',
  'CLOUD_RUN_TASK_ATTEMPT',
  'CLOUD_RUN_TASK_COUNT',
  'CLOUD_RUN_TASK_INDEX',
  'JOB_COMPLETION_INDEX',
  'AWS_BATCH_JOB_ARRAY_INDEX',
  'AWS_BATCH_JOB_ARRAY_SIZE',
  'AWS_BATCH_JOB_ATTEMPT',
  'SLURM_ARRAY_TASK_ID',
  'SLURM_ARRAY_TASK_COUNT',
] as const;

/** What only jobs of an image say, with what they say if nothing else is written: a function says it itself. */
const IMAGE_DEFAULTS: Readonly<Record<string, unknown>> = {
  command: undefined,
  env: {},
  secrets: [],
  memory: '256Mi',
  cpu: 1,
  pids: 256,
  tmp: '64Mi',
  readOnlyRootFilesystem: true,
  user: 'tenant',
  network: 'egress',
  cleanup: 'always',
};

const count = (max: number) => z.number().int().min(1).max(max);

/**
 * What a user says about a job: a batch of tasks, each run to completion. Exactly one of `image` and `function` is set.
 * Unknown fields are refused by name.
 */
export const jobSpecSchema = z
  .strictObject({
    image: imageSchema
      .optional()
      .describe('Container image whose command is run once for each task. Exit code 0 is success.'),
    command: z.array(z.string().max(16_384)).min(1).max(256).optional().describe('Replaces the command of the image.'),
    function: functionReferenceSchema
      .optional()
      .describe('Function that is called once for each task. A status below 400 is success.'),
    tasks: count(MAX_TASKS).optional().describe('How many tasks. Default: one for each of `inputs`, else 1.'),
    inputs: z
      .array(z.string().max(MAX_INPUT_LENGTH, `must be at most ${MAX_INPUT_LENGTH} characters`))
      .min(1)
      .max(MAX_TASKS)
      .optional()
      .describe(
        `One text a task, of at most ${MAX_INPUT_LENGTH} characters: its standard input and \`EBB_TASK_INPUT\`, or the body of its call.`,
      ),
    parallelism: count(10_000)
      .optional()
      .describe('Most tasks at once. Default: as many as `jobMaxTasks` allows, 32 calls of a function.'),
    retries: z
      .number()
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe('Further attempts of a task that fails. Faults of the platform do not count.'),
    timeout: duration(100, 30 * DAY, 'a duration from 100ms to 30d, such as "1h"')
      .default('1h')
      .describe('Longest time one attempt of a task may run.'),
    deadline: duration(100, 365 * DAY, 'a duration from 100ms to 365d, such as "6h"')
      .optional()
      .describe(
        'Longest time from the job’s first task to its last; then what runs is stopped and the job has failed.',
      ),
    grace: duration(0, 3_600_000, 'a duration from 0s to 1h, such as "10s"')
      .default('10s')
      .describe('Time between SIGTERM and SIGKILL for a task that is stopped.'),
    ...sandboxFields('a task'),
    cleanup: z
      .enum(CLEANUPS)
      .default('always')
      .describe('When the container of a task that has ended is removed; the others go with the job.'),
    after: z
      .array(nameSchema)
      .max(100)
      .default([])
      .describe('Jobs that must have succeeded first: ids, or names of jobs submitted together with this one.'),
    labels: z
      .record(z.string().min(1).max(253), z.string().max(16_384))
      .default({})
      .describe('Short facts for people and tools; kept and shown.'),
  })
  .superRefine((spec, context) => {
    if ((spec.image === undefined) === (spec.function === undefined)) {
      context.addIssue({
        code: 'custom',
        path: [spec.image === undefined ? 'image' : 'function'],
        input: spec.function,
        message:
          spec.image === undefined
            ? 'is missing: set it or "function", exactly one of the two says what runs'
            : 'must not be set beside "image": exactly one of the two says what runs',
      });
    }
    if (spec.inputs !== undefined && spec.tasks !== undefined && spec.tasks !== spec.inputs.length) {
      context.addIssue({
        code: 'custom',
        path: ['tasks'],
        input: spec.tasks,
        message: `must be the number of "inputs", which is ${spec.inputs.length}, or be left out`,
      });
    }
    if (spec.function !== undefined) {
      const written: Readonly<Record<string, unknown>> = spec;
      for (const [field, usual] of Object.entries(IMAGE_DEFAULTS)) {
        if (JSON.stringify(written[field]) === JSON.stringify(usual)) continue;
        const message = 'is only for jobs with an image: a function says it itself';
        context.addIssue({ code: 'custom', path: [field], input: written[field], message });
      }
    }
    for (const name of TASK_ENV) {
      if (!Object.hasOwn(spec.env, name)) continue;
      const message = 'must not be set: the platform sets it';
      context.addIssue({ code: 'custom', path: ['env', name], input: spec.env[name], message });
    }
  });

/** A job's spec as written, with defaults filled in. */
export type JobSpec = z.output<typeof jobSpecSchema>;
/** A job's spec as a user may write it. */
export type JobSpecInput = z.input<typeof jobSpecSchema>;

/** A job's limits and times in plain units. */
export interface ResolvedJob {
  readonly memoryBytes: number;
  readonly cpuCores: number;
  readonly pids: number;
  readonly tmpBytes: number;
  readonly timeoutMs: number;
  readonly deadlineMs: number | undefined;
  readonly graceMs: number;
  /** How many tasks it has. */
  readonly count: number;
}

/** Turns the quantities of a parsed spec into plain units. */
export function resolveJob(spec: JobSpec): ResolvedJob {
  return {
    memoryBytes: known(parseSizeBytes(spec.memory)),
    cpuCores: known(parseCpuCores(spec.cpu)),
    pids: spec.pids,
    tmpBytes: known(parseSizeBytes(spec.tmp)),
    timeoutMs: known(parseDurationMs(spec.timeout)),
    deadlineMs: spec.deadline === undefined ? undefined : known(parseDurationMs(spec.deadline)),
    graceMs: known(parseDurationMs(spec.grace)),
    count: spec.inputs?.length ?? spec.tasks ?? 1,
  };
}

function known(value: number | undefined): number {
  if (value === undefined) throw new TypeError('resolveJob was given a spec that was not parsed');
  return value;
}
