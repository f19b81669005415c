import { z } from 'zod';
import { attemptSchema, DEAD_REASONS, invocationResourceSchema } from './invocation.ts';
import { nameSchema } from './names.ts';

/** Bodies up to this many bytes are written into an outcome; of larger ones it says where they are. */
export const OUTCOME_INLINE_BYTES = 32 * 1024;

/** Most outcomes that may come of one another, so that functions that are each other's destination end. */
export const OUTCOME_MAX_HOPS = 8;

/** On requests to addresses: stays the same over all attempts, so that a receiver can leave out what it has had. */
export const DELIVERY_ID_HEADER = 'x-ebb-delivery-id';
/** On requests to addresses: `t=SECONDS,v1=HEX`, made with the namespace's signing key. */
export const SIGNATURE_HEADER = 'x-ebb-signature';

const outcomeBodySchema = z.object({
  sizeBytes: z.number().int(),
  contentType: z.string().optional(),
  /** The body, when it is small enough. */
  base64: z.base64().optional(),
  /** Where the API has it, for as long as the call is kept. */
  path: z.string(),
});

/** What a destination gets as its body: how a call ended. */
export const outcomeSchema = z.object({
  /** The call that ended. */
  id: z.string(),
  namespace: nameSchema,
  /** The function that was called, with `:ALIAS` or `@VERSION` where the call had one. */
  function: z.string(),
  state: z.enum(['succeeded', 'dead']),
  /** Why it is in the dead letters. */
  reason: z.enum(DEAD_REASONS).optional(),
  message: z.string().optional(),
  acceptedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  /** How many attempts were made. */
  attempts: z.number().int(),
  lastAttempt: attemptSchema.optional(),
  /** Status of the answer that is kept; absent where there is none. */
  status: z.number().int().optional(),
  /** Headers of that answer, names in lower case. */
  headers: z.record(z.string(), z.string()).optional(),
  /** What the function was called with. */
  payload: outcomeBodySchema.optional(),
  /** Body of the answer. */
  result: outcomeBodySchema.optional(),
  origin: invocationResourceSchema.shape.origin,
});
/** What a destination gets as its body: how a call ended. */
export type Outcome = z.output<typeof outcomeSchema>;

/** What a namespace signs its posts with. */
export const signingKeyResourceSchema = z.object({
  /** The text that goes into the HMAC as it is. */
  key: z.string(),
  createdAt: z.iso.datetime(),
  /** The key before; until then everything is signed with both. */
  previous: z.object({ key: z.string(), until: z.iso.datetime() }).optional(),
});
/** What a namespace signs its posts with. */
export type SigningKeyResource = z.output<typeof signingKeyResourceSchema>;
