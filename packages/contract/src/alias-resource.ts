import { z } from 'zod';
import { aliasSpecSchema } from './alias.ts';
import { nameSchema } from './names.ts';

/** An alias as the API shows it. */
export const aliasResourceSchema = aliasSpecSchema.extend({ name: nameSchema, updatedAt: z.iso.datetime() });
export type AliasResource = z.output<typeof aliasResourceSchema>;
