import { z } from 'zod';
import { functionReferenceSchema, nameSchema } from './names.ts';
import { parseDurationMs } from './quantity.ts';
import { duration } from './quantity-schema.ts';

const DAY = 86_400_000;

/** Statuses after which an attempt is made again, unless a function says otherwise: those that can pass by themselves. */
export const DEFAULT_RETRY_STATUSES: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

/** How the attempts of calls that share a key are kept apart. */
export const KEY_ORDERS = ['none', 'best-effort', 'strict'] as const;
/** How the attempts of calls that share a key are kept apart. */
export type KeyOrder = (typeof KEY_ORDERS)[number];

const statusSchema = z.number().int().min(400).max(599);

/** When an attempt that failed is made again. */
export const retrySchema = z
  .strictObject({
    attempts: z
      .number()
      .int()
      .min(1)
      .max(1000)
      .default(5)
      .describe('Most attempts that may end by the function’s own fault. Faults of the platform do not count.'),
    minWait: duration(0, DAY, 'a duration from 0s to 1d, such as "1s"')
      .default('1s')
      .describe('Wait after the first failed attempt; it doubles with each further one.'),
    maxWait: duration(0, DAY, 'a duration from 0s to 1d, such as "5m"')
      .default('5m')
      .describe('Longest wait between two attempts.'),
    statuses: z
      .array(statusSchema)
      .max(200)
      .default([...DEFAULT_RETRY_STATUSES])
      .describe('Statuses after which an attempt is made again; any other from 400 on ends the call at once.'),
  })
  .superRefine(({ minWait, maxWait }, context) => {
    if ((parseDurationMs(maxWait) ?? 0) >= (parseDurationMs(minWait) ?? 0)) return;
    context.addIssue({
      code: 'custom',
      path: ['maxWait'],
      input: maxWait,
      message: 'must not be shorter than minWait',
    });
  });

/** Where the outcome of a call is sent: exactly one of the three. */
export const destinationSchema = z
  .strictObject({
    function: functionReferenceSchema
      .optional()
      .describe('Function of the same namespace, called with the outcome, durably.'),
    queue: nameSchema
      .optional()
      .describe('Queue of the same namespace that keeps the outcome until somebody takes it.'),
    url: z
      .string()
      .max(2048)
      .regex(/^https?:\/\//, 'must begin with http:// or https://')
      .optional()
      .describe('Address the outcome is posted to, signed and retried. Private and metadata addresses are refused.'),
  })
  .superRefine((destination, context) => {
    if (Object.values(destination).filter((value) => value !== undefined).length === 1) return;
    context.addIssue({
      code: 'custom',
      path: [],
      input: destination,
      message: 'must have exactly one of "function", "queue" and "url"',
    });
  });
/** Where the outcome of a call is sent. */
export type Destination = z.output<typeof destinationSchema>;

const destinations = () => z.array(destinationSchema).max(10).default([]);

/** What a function says about the calls of it that are accepted now and made later. */
export const asyncSchema = z.strictObject({
  retry: retrySchema.prefault({}),
  maxAge: duration(1000, 30 * DAY, 'a duration from 1s to 30d, such as "6h"')
    .default('6h')
    .describe('A call whose first or next attempt has not begun by then goes to the dead letters.'),
  concurrency: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe('Most attempts at once. Default: as many as the function’s instances, at most `scale.max`, take.'),
  order: z
    .enum(KEY_ORDERS)
    .default('none')
    .describe(
      'Calls with the same key: `strict` makes one after the other and waits for retries; `best-effort` begins them in order.',
    ),
  keyConcurrency: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe('Most attempts at once of calls with the same key. Default: 1 with `order: strict`, else no limit.'),
  throttle: duration(0, DAY, 'a duration from 0s to 1d, such as "10s"')
    .default('0s')
    .describe('Shortest time between the first attempts of two calls with the same key; later ones wait.'),
  debounce: duration(0, DAY, 'a duration from 0s to 1d, such as "10s"')
    .default('0s')
    .describe('A call waits this long, and one with the same key that comes meanwhile takes its place.'),
  onSuccess: destinations().describe('Where the outcome of calls that succeeded is sent.'),
  onFailure: destinations().describe('Where the outcome of calls that went to the dead letters is sent.'),
});

/** What a function says about its asynchronous calls, with defaults filled in. */
export type AsyncSpec = z.output<typeof asyncSchema>;
/** What a function says about its asynchronous calls, as a user may write it. */
export type AsyncSpecInput = z.input<typeof asyncSchema>;

/** An {@link AsyncSpec} in plain units. */
export interface AsyncPolicy {
  readonly attempts: number;
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
  readonly retryStatuses: ReadonlySet<number>;
  readonly maxAgeMs: number;
  /** Absent where the function's instances decide. */
  readonly concurrency: number | undefined;
  readonly order: KeyOrder;
  /** Absent where keys limit nothing. */
  readonly keyConcurrency: number | undefined;
  readonly throttleMs: number;
  readonly debounceMs: number;
  readonly onSuccess: readonly Destination[];
  readonly onFailure: readonly Destination[];
}

/** Turns what a function says, or its silence, into plain units. */
export function resolveAsync(spec: AsyncSpec = asyncSchema.parse({})): AsyncPolicy {
  const { retry, order } = spec;
  return {
    attempts: retry.attempts,
    minWaitMs: ms(retry.minWait),
    maxWaitMs: ms(retry.maxWait),
    retryStatuses: new Set(retry.statuses),
    maxAgeMs: ms(spec.maxAge),
    concurrency: spec.concurrency,
    order,
    keyConcurrency: spec.keyConcurrency ?? (order === 'strict' ? 1 : undefined),
    throttleMs: ms(spec.throttle),
    debounceMs: ms(spec.debounce),
    onSuccess: spec.onSuccess,
    onFailure: spec.onFailure,
  };
}

function ms(value: string | number): number {
  return parseDurationMs(value) ?? 0;
}
