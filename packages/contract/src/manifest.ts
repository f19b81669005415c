import { z } from 'zod';
import { functionSpecSchema } from './function-spec.ts';
import { nameSchema } from './names.ts';
import { rolloutShorthandSchema } from './rollout.ts';

/** A function's entry in `ebb.yaml`: its spec, and for a managed runtime where its code is. */
export const manifestFunctionSchema = functionSpecSchema.safeExtend({
  code: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe(
      'Directory of the code, relative to the file. Default: the one named like the function, else that of the file.',
    ),
  rollout: rolloutShorthandSchema
    .optional()
    .describe('How a new version takes over: a strategy such as `canary`, or an object. Default: all at once.'),
});

/** The content of `ebb.yaml`, after variables were put in. Unknown fields are refused by name. */
export const manifestSchema = z.strictObject({
  namespace: nameSchema.optional().describe('Namespace the functions belong to, unless `--namespace` says otherwise.'),
  functions: z.record(nameSchema, manifestFunctionSchema).describe('The functions by name.'),
});

/** The content of `ebb.yaml` as written, with defaults filled in. */
export type Manifest = z.output<typeof manifestSchema>;
/** The content of `ebb.yaml` as a user may write it. */
export type ManifestInput = z.input<typeof manifestSchema>;
/** A function's entry in `ebb.yaml` as a user may write it. */
export type ManifestFunctionInput = z.input<typeof manifestFunctionSchema>;
