import { z } from 'zod';
import { DEAD_REASONS } from './invocation.ts';
import { nameSchema } from './names.ts';

/** Most dead letters that one request redrives or purges; a filter that finds more answers with `next`. */
export const DEAD_LETTERS_MAX_STEP = 1000;

const moment = (what: string) => z.iso.datetime({ offset: true }).optional().describe(what);
const since = () => moment('Accepted at or after this moment.');
const before = () => moment('Accepted before this moment.');
const reason = () => z.enum(DEAD_REASONS).optional().describe('Why they are there.');
const cursor = () => z.string().max(64).optional().describe('`next` of the answer before.');

/** Which dead letters are listed. */
export const deadLetterQuerySchema = z.strictObject({
  namespace: nameSchema.optional().describe('Whose calls; by default those of the default namespace.'),
  function: nameSchema.optional().describe('Only calls of this function.'),
  reason: reason(),
  since: since(),
  before: before(),
  redriven: z
    .stringbool()
    .default(false)
    .describe('With `true` those that were redriven, instead of those that were not.'),
  cursor: cursor(),
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe('Most calls of a page.'),
});
/** Which dead letters are listed, as a user may write it. */
export type DeadLetterQuery = z.input<typeof deadLetterQuerySchema>;

const selectionSchema = z.strictObject({
  ids: z.array(z.string().min(1).max(128)).min(1).max(DEAD_LETTERS_MAX_STEP).optional(),
  all: z.literal(true).optional().describe('Says that a filter without a function is meant.'),
  namespace: nameSchema.optional(),
  function: nameSchema.optional(),
  reason: reason(),
  since: since(),
  before: before(),
  cursor: cursor(),
});

/** By id or by a filter, which is not to mean everything by mistake. */
function checkSelection(selection: z.output<typeof selectionSchema>, context: z.RefinementCtx): void {
  const add = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: path === '' ? [] : [path], input: selection, message });
  const { ids, all, function: name, reason: why, since: from, before: until, cursor: next } = selection;
  if (ids === undefined) {
    if (all !== true && name === undefined)
      add('', 'must have "ids", or "function", or "all": true for every function');
    return;
  }
  const filter = { all, function: name, reason: why, since: from, before: until, cursor: next };
  const [beside] = Object.entries(filter).find(([, value]) => value !== undefined) ?? [];
  if (beside !== undefined) add(beside, 'must not be set beside "ids"');
}

/** Which dead letters are redriven or purged: those named by `ids`, or all that match. */
export const deadLetterSelectionSchema = selectionSchema.superRefine(checkSelection);
/** The same, and to where they are redriven. */
export const redriveSelectionSchema = selectionSchema
  .extend({
    to: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe(
        'Another function of the namespace, with or without `:ALIAS` or `@VERSION`; they leave the dead letters then.',
      ),
  })
  .superRefine(checkSelection);
/** Which dead letters are redriven, and to where. */
export type RedriveSelection = z.output<typeof redriveSelectionSchema>;
/** Which dead letters are redriven or purged. */
export type DeadLetterSelection = z.output<typeof deadLetterSelectionSchema>;

/** What a redrive came to. Doing it again goes on where it stopped: what was redriven is left alone. */
export const redrivenSchema = z.object({
  /** How many were queued anew. */
  count: z.number().int(),
  /** Those that were named but are no dead letters, or were redriven before. */
  skipped: z.number().int(),
  /** Of those, the ids that no dead letter has; absent when there is none. */
  notFound: z.array(z.string()).optional(),
  /** Under which ids they were queued anew. */
  calls: z.array(z.object({ id: z.string(), as: z.string() })),
  /** For `cursor`: there may be more that match. */
  next: z.string().optional(),
});
/** What a redrive came to. */
export type Redriven = z.output<typeof redrivenSchema>;

/** What a purge came to. */
export const purgedSchema = z.object({
  /** How many were removed. */
  count: z.number().int(),
  /** Those that were named but are no dead letters. */
  skipped: z.number().int(),
  /** Their ids; absent when there is none. */
  notFound: z.array(z.string()).optional(),
  /** For `cursor`: there may be more that match. */
  next: z.string().optional(),
});
/** What a purge came to. */
export type Purged = z.output<typeof purgedSchema>;
