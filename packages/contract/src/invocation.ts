import { z } from 'zod';
import { nameSchema } from './names.ts';
import { duration } from './quantity-schema.ts';

const DAY = 86_400_000;

/** Lowest and highest priority of a call; those of a higher one go first. */
export const PRIORITIES = { min: 0, usual: 4, max: 9 } as const;

/**
 * Where an asynchronous call stands. `queued` and `running` may change; the others are final, and every accepted call
 * reaches exactly one of them (A2): `succeeded`, `dead` (in the dead letters, with the reason) or `cancelled`.
 */
export const INVOCATION_STATES = ['queued', 'running', 'succeeded', 'dead', 'cancelled'] as const;
/** Where an asynchronous call stands. */
export type InvocationState = (typeof INVOCATION_STATES)[number];

/** Why a call is in the dead letters. */
export const DEAD_REASONS = [
  /** As many attempts as the function allows failed. */
  'attempts',
  /** The function answered with a status that is not tried again. */
  'status',
  /** It was too old before an attempt succeeded. */
  'expired',
  /** The function, alias or version it was for is gone. */
  'gone',
  /** It can never be made, for instance because its destination is forbidden. */
  'refused',
] as const;
/** Why a call is in the dead letters. */
export type DeadReason = (typeof DEAD_REASONS)[number];

/** How an attempt ended. */
export const ATTEMPT_ENDS = [
  'succeeded',
  /** The function's own fault; counts against its attempts. */
  'failed',
  /** The platform's fault, or the caller's limits; does not count. */
  'platform',
  /** Nobody heard of it again: the server died, or the attempt outlived its lease. Does not count. */
  'lost',
  'cancelled',
] as const;
/** How an attempt ended. */
export type AttemptEnd = (typeof ATTEMPT_ENDS)[number];

/** One attempt of a call. */
export const attemptSchema = z.object({
  /** From 1; the number the function saw in `X-Ebb-Attempt`. */
  number: z.number().int(),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  end: z.enum(ATTEMPT_ENDS),
  /** The version that served, where one did. */
  version: z.number().int().optional(),
  instance: z.string().optional(),
  /** Status of the answer, or of the platform's error. */
  status: z.number().int().optional(),
  /** Code of the platform's error. */
  errorCode: z.string().optional(),
  /** What went wrong, in one sentence. */
  message: z.string().optional(),
});
export type AttemptResource = z.output<typeof attemptSchema>;

/** The answer of a call that is kept; the body is asked for separately. */
export const resultSchema = z.object({
  status: z.number().int(),
  contentType: z.string().optional(),
  /** Absent in lists, unless the body is a large one. */
  sizeBytes: z.number().int().optional(),
  /** Path of the body. */
  path: z.string(),
});

/** An asynchronous call as the API shows it. */
export const invocationResourceSchema = z.object({
  id: z.string(),
  namespace: nameSchema,
  /** The function, or what else the call is for: `url` or `queue` and a name. */
  target: z.string(),
  state: z.enum(INVOCATION_STATES),
  method: z.string(),
  /** What the function sees as its target. */
  path: z.string(),
  priority: z.number().int(),
  key: z.string().optional(),
  acceptedAt: z.iso.datetime(),
  /** When the next attempt may begin; only while queued. */
  nextAt: z.iso.datetime().optional(),
  expiresAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  sizeBytes: z.number().int().optional().describe('Bytes of the payload; in lists only of large ones.'),
  attempts: z.array(attemptSchema),
  result: resultSchema.optional(),
  dead: z.object({ reason: z.enum(DEAD_REASONS), message: z.string(), redrivenAs: z.string().optional() }).optional(),
  /** Why it was cancelled. */
  cancelled: z.string().optional(),
  /** The call it came from. */
  origin: z
    .object({ kind: z.enum(['redrive', 'replay', 'success', 'failure', 'callback', 'job']), of: z.string() })
    .optional(),
});
export type InvocationResource = z.output<typeof invocationResourceSchema>;

const delay = () => duration(0, 365 * DAY, 'a duration from 0s to 365d, such as "5m"');

/** One call of a submit. `body` is text; `bodyBase64` any bytes; `json` any value. At most one of them. */
export const submitCallSchema = z
  .strictObject({
    function: z.string().min(1).max(200).describe('`NAME`, `NAME.NAMESPACE`, each also with `:ALIAS` or `@VERSION`.'),
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).default('POST'),
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]{0,8191}$/, 'must be a path that starts with "/"')
      .default('/'),
    headers: z.record(z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/), z.string().max(8192)).default({}),
    body: z.string().optional(),
    bodyBase64: z.base64().optional(),
    json: z.unknown().optional(),
    delay: delay().optional().describe('Begin no earlier than this long after the call was accepted.'),
    runAt: z.iso.datetime({ offset: true }).optional().describe('Begin no earlier than this moment.'),
    priority: z.number().int().min(PRIORITIES.min).max(PRIORITIES.max).default(PRIORITIES.usual),
    maxAge: duration(1000, 365 * DAY, 'a duration from 1s to 365d, such as "6h"').optional(),
    key: z.string().min(1).max(512).optional().describe('What order, throttle, debounce and key limits go by.'),
    idempotencyKey: z.string().min(1).max(255).optional(),
    callback: z.string().max(2048).optional().describe('Address the outcome is posted to.'),
  })
  .superRefine((call, context) => {
    const given = (['body', 'bodyBase64', 'json'] as const).filter((field) => call[field] !== undefined);
    if (given.length > 1) {
      context.addIssue({
        code: 'custom',
        path: [given[1] ?? 'body'],
        input: undefined,
        message: `must not be set beside "${given[0]}"`,
      });
    }
    if (call.delay !== undefined && call.runAt !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['runAt'],
        input: call.runAt,
        message: 'must not be set beside "delay"',
      });
    }
  });
export type SubmitCall = z.output<typeof submitCallSchema>;

/** What is submitted: one call, or many in one go. */
export const submitSchema = z.union([
  submitCallSchema,
  z.strictObject({ calls: z.array(submitCallSchema).min(1).max(10_000) }),
]);

/** What became of one call of a submit. */
export const submittedSchema = z.object({
  id: z.string(),
  /** Present where an earlier call with the same idempotency key and body answers for this one. */
  duplicate: z.literal(true).optional(),
});
export type Submitted = z.output<typeof submittedSchema>;
/** {@link SubmitCall} as a user may write it. */
export type SubmitCallInput = z.input<typeof submitCallSchema>;

/** What a submit of many calls answers, in their order. */
export const submittedBatchSchema = z.object({
  calls: z.array(z.union([submittedSchema, z.object({ error: z.object({ code: z.string(), message: z.string() }) })])),
});
export type SubmittedBatch = z.output<typeof submittedBatchSchema>;

/** Calls, newest first, and how to get the next ones. */
export const invocationPageSchema = z.object({
  invocations: z.array(invocationResourceSchema),
  /** For `cursor`; absent on the last page. */
  next: z.string().optional(),
});
export type InvocationPage = z.output<typeof invocationPageSchema>;

/** How a call is replayed. */
export const replaySchema = z.strictObject({
  function: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Function of the same namespace, with or without `:ALIAS` or `@VERSION`; by default the same as before.'),
});
export type ReplayRequest = z.input<typeof replaySchema>;

/** What a longer wait for a call is cut to. */
export const MAX_WAIT_MS = 300_000;

const namespaceQuery = nameSchema.optional().describe('A call of another namespace is not found.');

/** Which namespace a call must be of. */
export const invocationQuerySchema = z.strictObject({ namespace: namespaceQuery });

/** How a call is asked for. */
export const invocationWaitQuerySchema = z.strictObject({
  namespace: namespaceQuery,
  wait: duration(0, MAX_WAIT_MS, 'a duration from 0s to 5m, such as "30s"')
    .optional()
    .describe('Answer once the call has ended, or after this time with how it stands by then.'),
});

/** Which calls are listed. */
export const invocationListQuerySchema = z.strictObject({
  namespace: nameSchema.optional().describe('Whose calls; by default those of the default namespace.'),
  function: nameSchema.optional().describe('Only calls of this function.'),
  state: z.enum(INVOCATION_STATES).optional().describe('Only calls that stand so.'),
  key: z.string().min(1).max(512).optional().describe('Only calls with this key.'),
  since: z.iso.datetime({ offset: true }).optional().describe('Accepted at or after this moment.'),
  before: z.iso.datetime({ offset: true }).optional().describe('Accepted before this moment.'),
  cursor: z.string().max(64).optional().describe('`next` of the page before.'),
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe('Most calls of a page.'),
});
export type InvocationListQuery = z.input<typeof invocationListQuerySchema>;
