import { z } from 'zod';
import { aliasResourceSchema } from './alias-resource.ts';
import { matchSchema, shadowSchema } from './alias.ts';
import { functionSpecSchema } from './function-spec.ts';
import { namespaceLimitsSchema } from './limits.ts';
import { nameSchema, secretNameSchema } from './names.ts';
import { rolloutResourceSchema } from './rollout-resource.ts';
import { rolloutSchema } from './rollout.ts';
import { startReportSchema } from './start-report.ts';

/** Digest of content: `sha256:` and 64 hexadecimal digits. */
export const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be "sha256:" and 64 hexadecimal digits');

/** What a deploy sends: the spec, and for a managed runtime the digest of code uploaded before. */
export const deployRequestSchema = z
  .strictObject({ spec: functionSpecSchema, code: digestSchema.optional(), rollout: rolloutSchema.optional() })
  .superRefine((request, context) => {
    if (request.spec.runtime !== undefined && request.code === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['code'],
        input: undefined,
        message: 'is missing: a function with a runtime needs the digest of uploaded code',
      });
    }
    if (request.spec.image !== undefined && request.code !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['code'],
        input: request.code,
        message: 'is only for functions with a runtime',
      });
    }
  });
export type DeployRequest = z.output<typeof deployRequestSchema>;
export type DeployRequestInput = z.input<typeof deployRequestSchema>;

/** How a function stands: `ready` can serve at once, `idle` starts on the next call, `starting` is on its way. */
export const functionStateSchema = z.enum(['ready', 'starting', 'idle']);
export type FunctionState = z.output<typeof functionStateSchema>;

/** The last change of a function's number of instances. */
export const scalingResourceSchema = z.object({
  /** Instances that were asked for. */
  desired: z.number().int(),
  /** Why, in words. */
  reason: z.string(),
  at: z.iso.datetime(),
});
export type ScalingResource = z.output<typeof scalingResourceSchema>;

/** A deployed function as the API shows it. */
export const functionResourceSchema = z.object({
  namespace: nameSchema,
  name: nameSchema,
  /** Number of the version that serves; of several the one with most of the calls. */
  version: z.number().int(),
  /** When that version was made. */
  versionCreatedAt: z.iso.datetime(),
  /** Number of the version a rollback goes to; absent when there is none. */
  before: z.number().int().optional(),
  /** `live` first, which is what the bare name means. */
  aliases: z.array(aliasResourceSchema),
  spec: functionSpecSchema,
  code: digestSchema.optional(),
  /** Digest the image had when it was deployed. */
  imageDigest: z.string().optional(),
  state: functionStateSchema,
  /** Ready instances of the serving version. */
  instances: z.number().int(),
  /** The last change of their number; absent before the first. */
  scaling: scalingResourceSchema.optional(),
  /** Present while starts are held back because the last ones failed. */
  startsHeld: z
    .object({
      /** Why the last start failed. */
      reason: z.string(),
      /** Starts that failed one after the other. */
      failures: z.number().int(),
      /** When the next one may be tried. */
      until: z.iso.datetime(),
    })
    .optional(),
  /** Path of the function on the gateway. */
  path: z.string(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type FunctionResource = z.output<typeof functionResourceSchema>;

/** What a deploy came to: the function, and whether the deploy made it, changed it or found it as it was asked for. */
export const deployResourceSchema = functionResourceSchema.extend({
  change: z.enum(['created', 'updated', 'unchanged']),
  /** Number of the version that was asked for; not the one that serves where it was only stored. */
  deployed: z.number().int(),
  /** What `live` matched and copied for the version before, where that ended with the deploy. */
  ended: z.object({ match: z.array(matchSchema), shadow: shadowSchema.optional() }).optional(),
  /** The rollout that brings the version into service, begun now or before; absent where it serves already. */
  rollout: rolloutResourceSchema.optional(),
});
export type DeployResource = z.output<typeof deployResourceSchema>;

/** Questions a deploy may carry in its query. */
export const deployQuerySchema = z.strictObject({
  probe: z
    .stringbool()
    .default(true)
    .describe('Whether the deploy waits for a first instance to become ready before the version serves.'),
  serve: z
    .stringbool()
    .default(true)
    .describe(
      'Whether the version gets the function’s calls. With `false` it is stored and proved only; a function’s first version serves anyhow.',
    ),
});

/** One immutable version as the API shows it. */
export const versionResourceSchema = z.object({
  version: z.number().int(),
  digest: digestSchema,
  spec: functionSpecSchema,
  code: digestSchema.optional(),
  imageDigest: z.string().optional(),
  createdAt: z.iso.datetime(),
  /** What was said of it when it was published; the version itself never changes. */
  description: z.string().optional(),
  publishedAt: z.iso.datetime().optional(),
  /** Whether the bare name means this version; of several the one with most of the calls. */
  live: z.boolean(),
  /** The aliases that send calls to it, with its percentage; 0 where only matching or copied calls go to it. */
  aliases: z.array(
    z.object({
      name: nameSchema,
      weight: z.number(),
      /** How calls or copies of them come to it besides. */
      also: z.array(z.enum(['match', 'shadow'])),
    }),
  ),
});
export type VersionResource = z.output<typeof versionResourceSchema>;

/** Where an instance is in its life. */
export const instanceStateSchema = z.enum(['created', 'ready', 'busy', 'idle', 'frozen', 'draining', 'gone']);
export type InstanceState = z.output<typeof instanceStateSchema>;

/** An instance as the API shows it. */
export const instanceResourceSchema = z.object({
  id: z.string(),
  namespace: nameSchema,
  function: nameSchema,
  version: z.number().int(),
  state: instanceStateSchema,
  /** Requests it holds now. */
  inFlight: z.number().int(),
  engine: z.string(),
  startedAt: z.iso.datetime(),
  /** Absent for an instance that an earlier run of the server started. */
  start: startReportSchema.optional(),
});
export type InstanceResource = z.output<typeof instanceResourceSchema>;

/** Who wrote a log line. `platform` lines are about the instance and cannot be written by it. */
export const logSourceSchema = z.enum(['stdout', 'stderr', 'platform']);
/** Who wrote a log line. */
export type LogSource = z.output<typeof logSourceSchema>;

/** One line of a function's log. */
export const logLineSchema = z.object({
  at: z.iso.datetime(),
  namespace: nameSchema,
  function: nameSchema,
  version: z.number().int(),
  instance: z.string(),
  source: logSourceSchema,
  /** The call during which a managed runtime's handler wrote the line, where known. */
  callId: z.string().optional(),
  text: z.string(),
});
export type LogLine = z.output<typeof logLineSchema>;

/** Which lines of a function's log are asked for. */
export const logQuerySchema = z.strictObject({
  follow: z.stringbool().default(false).describe('Keep the answer open and send new lines as they come.'),
  tail: z.coerce
    .number()
    .int()
    .min(0)
    .max(100_000)
    .default(200)
    .describe('At most this many of the newest stored lines.'),
  since: z.iso.datetime().optional().describe('Only lines at or after this moment.'),
  instance: z.string().max(128).optional().describe('Only lines of this instance.'),
  callId: z.string().max(128).optional().describe('Only lines of this call.'),
});
export type LogQuery = z.output<typeof logQuerySchema>;

/** A namespace as the API shows it. */
export const namespaceResourceSchema = z.object({
  name: nameSchema,
  createdAt: z.iso.datetime(),
  /** What it may use; absent when nothing is limited. */
  limits: namespaceLimitsSchema.optional(),
});
export type NamespaceResource = z.output<typeof namespaceResourceSchema>;

/** A secret as the API shows it: never its value. */
export const secretResourceSchema = z.object({ name: secretNameSchema, updatedAt: z.iso.datetime() });
export type SecretResource = z.output<typeof secretResourceSchema>;

/** A secret's value as JSON, for values that are text; other values are sent as plain bytes. */
export const secretValueSchema = z.strictObject({ value: z.string() });

/** What an upload of code answers. */
export const codeResourceSchema = z.object({
  digest: digestSchema,
  /** Bytes of all files after unpacking. */
  sizeBytes: z.number().int(),
  files: z.number().int(),
});
export type CodeResource = z.output<typeof codeResourceSchema>;

/** How the server is. */
export const healthResourceSchema = z.object({
  status: z.enum(['ok', 'degraded', 'draining']),
  engine: z.object({ name: z.string(), ok: z.boolean(), message: z.string().optional() }),
  gateways: z
    .array(
      z.object({
        pid: z.number().int(),
        state: z.enum(['starting', 'ready', 'draining']),
        connections: z.number().int(),
        running: z.number().int().describe('Calls that run or wait.'),
      }),
    )
    .optional()
    .describe('The gateway processes, where calls are not served by the first process itself.'),
});
export type HealthResource = z.output<typeof healthResourceSchema>;

/** What the server is. */
export const versionInfoSchema = z.object({
  name: z.literal('ebb'),
  version: z.string(),
  node: z.string(),
  engine: z.string(),
  installation: z.string(),
});
export type VersionInfo = z.output<typeof versionInfoSchema>;

/** One finding about the host: `degraded` says what is lost, `unsafe` what to change. */
export const findingSchema = z.object({
  check: z.string(),
  level: z.enum(['ok', 'degraded', 'unsafe', 'missing']),
  message: z.string(),
  /** What to do about it. */
  advice: z.string().optional(),
});
export type Finding = z.output<typeof findingSchema>;
