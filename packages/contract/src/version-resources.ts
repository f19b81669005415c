import { z } from 'zod';
import { versionNumberSchema } from './alias.ts';
import { nameSchema } from './names.ts';

/** What a version is given when it is published. */
export const publishRequestSchema = z.strictObject({
  description: z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .describe('What the version is, for people; replaces what was said.'),
  alias: nameSchema.optional().describe('An alias that from now on sends every call to the version.'),
});
export type PublishRequest = z.output<typeof publishRequestSchema>;

/** Questions a rollback may carry in its query. */
export const rollbackQuerySchema = z.strictObject({
  to: z.coerce
    .number()
    .pipe(versionNumberSchema)
    .optional()
    .describe('The version to go to. Default: the one that served before.'),
});

/** Questions a comparison of two versions may carry in its query. */
export const diffQuerySchema = z.strictObject({
  to: z.coerce
    .number()
    .pipe(versionNumberSchema)
    .optional()
    .describe('The version to compare with. Default: the one that is live.'),
});

/** A field whose value differs; `before` or `after` is absent where the field is not set. */
export const fieldChangeSchema = z.object({
  field: z.string().describe('Its path, such as `env.QUALITY` or `scale.max`.'),
  before: z.unknown().optional(),
  after: z.unknown().optional(),
});
export type FieldChange = z.output<typeof fieldChangeSchema>;

/** What differs between the files of two versions, by path. */
export const fileChangesSchema = z.object({
  added: z.array(z.string()),
  removed: z.array(z.string()),
  changed: z.array(z.string()),
  omitted: z.number().int().describe('Further files that differ; the lists hold 1000 in all.'),
});
export type FileChanges = z.output<typeof fileChangesSchema>;

/** What differs between two versions of a function. */
export const versionDiffSchema = z.object({
  from: z.number().int(),
  to: z.number().int(),
  fields: z.array(fieldChangeSchema),
  files: fileChangesSchema.optional().describe('Present where both run code.'),
  imageDigest: z
    .object({ before: z.string().optional(), after: z.string().optional() })
    .optional()
    .describe('Present where what is behind the image reference differs.'),
});
export type VersionDiff = z.output<typeof versionDiffSchema>;
