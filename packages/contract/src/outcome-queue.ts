import { z } from 'zod';
import { invocationResourceSchema } from './invocation.ts';
import { nameSchema } from './names.ts';
import { parseDurationMs } from './quantity.ts';
import { duration } from './quantity-schema.ts';

const DAY = 86_400_000;

/** A queue that holds something. */
export const queueResourceSchema = z.object({
  name: nameSchema,
  /** Items that wait to be taken. */
  waiting: z.number().int(),
  /** Items that somebody has taken and has not said what became of. */
  taken: z.number().int(),
  /** When the oldest waiting one came. */
  oldestAt: z.iso.datetime().optional(),
});
/** A queue that holds something. */
export type QueueResource = z.output<typeof queueResourceSchema>;

/** How items are taken from a queue. */
export const leaseRequestSchema = z.strictObject({
  max: z.number().int().min(1).max(100).default(1).describe('Most items that are taken.'),
  for: duration(1000, DAY, 'a duration from 1s to 1d, such as "30s"')
    .default('30s')
    .describe('For how long nobody else gets them; an item that is not acknowledged by then comes again.'),
});
/** How items are taken from a queue, as a user may write it. */
export type LeaseRequestInput = z.input<typeof leaseRequestSchema>;

/** Milliseconds of {@link leaseRequestSchema}'s `for`. */
export function leaseMs(request: z.output<typeof leaseRequestSchema>): number {
  return parseDurationMs(request.for) ?? 0;
}

/** An item that was taken from a queue. */
export const leasedItemSchema = z.object({
  id: z.string(),
  /** What the item is acknowledged or given back with; only the newest one of an item counts. */
  receipt: z.string(),
  /** From 1; more where it was taken before. */
  attempt: z.number().int(),
  enqueuedAt: z.iso.datetime(),
  /** Until then nobody else gets it. */
  until: z.iso.datetime(),
  contentType: z.string().optional(),
  sizeBytes: z.number().int(),
  /** The body, unless it is large. */
  base64: z.base64().optional(),
  /** Where the API has the body. */
  path: z.string(),
  origin: invocationResourceSchema.shape.origin,
});
/** An item that was taken from a queue. */
export type LeasedItem = z.output<typeof leasedItemSchema>;

/** Which taken items are acknowledged or given back. */
export const receiptsSchema = z.strictObject({ receipts: z.array(z.string().min(1).max(500)).min(1).max(1000) });

/** How many of the receipts counted; the others were not the newest of their items any more. */
export const settledSchema = z.object({ count: z.number().int(), late: z.number().int() });
/** How many of the receipts counted. */
export type Settled = z.output<typeof settledSchema>;

/** How a call was sent, for running it again elsewhere; credentials are left out. The body is asked for separately. */
export const capturedRequestSchema = z.object({
  method: z.string(),
  path: z.string(),
  /** Names and values, in order. */
  headers: z.array(z.tuple([z.string(), z.string()])),
  /** Names of headers that are left out. */
  leftOut: z.array(z.string()),
});
/** How a call was sent. */
export type CapturedRequest = z.output<typeof capturedRequestSchema>;
