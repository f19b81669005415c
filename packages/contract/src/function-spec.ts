import { z } from 'zod';
import { asyncSchema } from './async-spec.ts';
import { resolveFreezeAfterMs } from './freeze-spec.ts';
import { type FunctionLimits, functionLimitsSchema } from './limits.ts';
import { openfaasSpecSchema } from './openfaas-spec.ts';
import { parseCpuCores, parseDurationMs, parseSizeBytes } from './quantity.ts';
import { duration } from './quantity-schema.ts';
import { imageSchema, sandboxFields } from './sandbox-spec.ts';
import { type ResolvedScaling, resolveScaling, scaleSchema } from './scale-spec.ts';

const stringMap = (what: string) =>
  z.record(z.string().min(1).max(253), z.string().max(16_384), { error: `must map names of ${what} to text` });

const DAY = 86_400_000;

/** Managed runtimes that turn a directory with a handler into a server. */
export const RUNTIMES = ['node'] as const;

/** How a managed runtime calls the handler; `auto` finds it by the handler's shape. */
export const SIGNATURES = ['auto', 'fetch', 'event', 'node'] as const;

/**
 * Variables the platform sets in every instance, `PORT` in those of an image that was not made for OpenFaaS; a user's
 * would be lost.
 */
const PLATFORM_ENV = [
  'EBB_CODE_DIR',
  'EBB_FUNCTION',
  'EBB_HANDLER',
  'EBB_HEALTH_PATH',
  'EBB_NAMESPACE',
  'EBB_SECRETS_DIR',
  'EBB_SIGNATURE',
  'EBB_SOCKET',
  'EBB_SPARE',
  'EBB_TIMEOUT_MS',
  'EBB_VERSION',
  'PORT',
] as const;

/** What waits when every instance is busy. */
export const queueSchema = z.strictObject({
  length: z.number().int().min(0).max(100_000).default(1000).describe('Most calls waiting at once.'),
  wait: duration(1, DAY, 'a duration from 1ms to 1d, such as "60s"')
    .default('60s')
    .describe('Longest time a call waits for an instance.'),
});

/**
 * What a user says about a function: the body of a deploy and a function's entry in `ebb.yaml`, with defaults
 * filled in by parsing. Exactly one of `runtime` and `image` is set. Unknown fields are refused by name.
 */
export const functionSpecSchema = z
  .strictObject({
    runtime: z.enum(RUNTIMES).optional().describe('Managed runtime that runs the uploaded code.'),
    image: imageSchema.optional().describe('Container image that serves HTTP on `port`.'),
    handler: z
      .string()
      .regex(
        /^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|#|$))[^\0#]{1,255}(?:#[A-Za-z_$][\w$]*)?$/,
        'must be a file inside the code directory, optionally with "#export"',
      )
      .optional()
      .describe(
        'Handler file, optionally `file#export`. Default: index.ts, .js, .mjs or .cjs, or package.json `main`.',
      ),
    signature: z
      .enum(SIGNATURES)
      .optional()
      .describe('How the handler is called. Default: `auto`, which finds it by shape.'),
    command: z.array(z.string().max(4096)).min(1).max(256).optional().describe('Replaces the command of an image.'),
    port: z
      .number()
      .int()
      .min(1)
      .max(65_535)
      .optional()
      .describe('Port an image listens on; passed as `PORT`. Default: 8080.'),
    healthPath: z
      .string()
      .regex(/^\/[\x21-\x7e]{0,255}$/, 'must be a path that starts with "/"')
      .optional()
      .describe('Path of an image that answers 2xx when ready. Default: an open port is enough.'),
    ...sandboxFields('an instance'),
    concurrency: z.number().int().min(1).max(10_000).default(10).describe('Calls an instance handles at once.'),
    timeout: duration(1, DAY, 'a duration from 1ms to 1d, such as "60s"')
      .default('60s')
      .describe('Longest time a call may run.'),
    queue: queueSchema.prefault({}),
    scale: scaleSchema.prefault({}),
    limits: functionLimitsSchema.optional(),
    async: asyncSchema.optional().describe('Calls that are accepted now and made later.'),
    auth: z.enum(['none', 'required']).default('none').describe('Whether calling the function needs a token.'),
    labels: stringMap('labels').default({}).describe('Short facts for people and tools; kept and shown.'),
    annotations: stringMap('annotations').default({}).describe('Longer facts, such as a description; kept and shown.'),
    openfaas: openfaasSpecSchema
      .optional()
      .describe('What a deployment through the [API compatible with OpenFaaS](openfaas.md) said besides.'),
  })
  .superRefine((spec, context) => {
    if (spec.scale.standby > spec.scale.max) {
      context.addIssue({
        code: 'custom',
        path: ['scale', 'standby'],
        input: spec.scale.standby,
        message: 'must not be larger than scale.max',
      });
    }
    if (spec.limits && spec.limits.reserved > spec.scale.max * spec.concurrency) {
      context.addIssue({
        code: 'custom',
        path: ['limits', 'reserved'],
        input: spec.limits.reserved,
        message: `must not be larger than scale.max × concurrency, which is ${spec.scale.max * spec.concurrency}`,
      });
    }
    if ((spec.runtime === undefined) === (spec.image === undefined)) {
      const isMissing = spec.runtime === undefined;
      context.addIssue({
        code: 'custom',
        path: [isMissing ? 'runtime' : 'image'],
        input: spec.image,
        message: isMissing
          ? 'is missing: set it or "image", exactly one of the two says what runs'
          : 'must not be set beside "runtime": exactly one of the two says what runs',
      });
    }
    for (const name of PLATFORM_ENV) {
      const isFree = name === 'PORT' && (spec.image === undefined || spec.openfaas !== undefined);
      if (!Object.hasOwn(spec.env, name) || isFree) continue;
      context.addIssue({
        code: 'custom',
        path: ['env', name],
        input: spec.env[name],
        message: `must not be set: the platform sets it${name === 'PORT' ? ', from "port"' : ''}`,
      });
    }
    const misplaced =
      spec.image === undefined ? (['command', 'port', 'healthPath'] as const) : (['handler', 'signature'] as const);
    for (const field of misplaced) {
      if (spec[field] === undefined) continue;
      context.addIssue({
        code: 'custom',
        path: [field],
        input: spec[field],
        message:
          spec.image === undefined ? 'is only for functions with an image' : 'is only for functions with a runtime',
      });
    }
  });

/** Port an image listens on unless its spec says otherwise. */
export const DEFAULT_PORT = 8080;

/** A function's spec as written, with defaults filled in. */
export type FunctionSpec = z.output<typeof functionSpecSchema>;
/** A function's spec as a user may write it. */
export type FunctionSpecInput = z.input<typeof functionSpecSchema>;

/** The limits of an instance and of the calls to it, in plain units. */
export interface ResolvedLimits {
  readonly memoryBytes: number;
  readonly cpuCores: number;
  readonly pids: number;
  readonly tmpBytes: number;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly queueLength: number;
  readonly queueWaitMs: number;
  readonly scaleMin: number;
  readonly scaleMax: number;
  readonly idleMs: number;
  readonly scaling: ResolvedScaling;
  /** Infinite when idle instances are not frozen. */
  readonly freezeAfterMs: number;
  /** Instances kept beyond those at work. */
  readonly standby: number;
  /** Calls at once over all versions of the function; those of its live version hold. */
  readonly calls: FunctionLimits;
}

/** Turns the quantities of a parsed spec into plain units. */
export function resolveLimits(spec: FunctionSpec): ResolvedLimits {
  const cpuCores = known(parseCpuCores(spec.cpu));
  return {
    memoryBytes: known(parseSizeBytes(spec.memory)),
    cpuCores,
    pids: spec.pids,
    tmpBytes: known(parseSizeBytes(spec.tmp)),
    concurrency: spec.concurrency,
    timeoutMs: known(parseDurationMs(spec.timeout)),
    queueLength: spec.queue.length,
    queueWaitMs: known(parseDurationMs(spec.queue.wait)),
    scaleMin: spec.scale.min,
    scaleMax: spec.scale.max,
    idleMs: known(parseDurationMs(spec.scale.idle)),
    scaling: resolveScaling(spec.scale, { concurrency: spec.concurrency, cpuCores }),
    freezeAfterMs: resolveFreezeAfterMs(spec.scale.freezeAfter),
    standby: spec.scale.standby,
    calls: spec.limits ?? { reserved: 0 },
  };
}

function known(value: number | undefined): number {
  if (value === undefined) throw new TypeError('resolveLimits was given a spec that was not parsed');
  return value;
}
