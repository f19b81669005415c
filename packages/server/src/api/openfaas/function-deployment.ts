import { ENV_NAME_PATTERN, nameSchema, secretNameSchema } from '@ebb/contract';
import { z } from 'zod';

const texts = z.record(z.string(), z.string());
const quantities = z.record(z.string().min(1).max(63), z.string().max(64));

/** What a client sends to deploy a function. Fields it does not know are ignored, as clients of several ages send them. */
export const functionDeploymentSchema = z.object({
  service: nameSchema,
  image: z.string().min(1),
  namespace: z.string().optional(),
  envProcess: z.string().max(131_072).optional(),
  envVars: z
    .record(
      z.string().regex(ENV_NAME_PATTERN, 'must be letters, digits and "_", not starting with a digit'),
      z.string().max(131_072),
    )
    .optional(),
  constraints: z.array(z.string().max(1024)).max(100).optional(),
  secrets: z.array(secretNameSchema).max(100).optional(),
  labels: texts.optional(),
  annotations: texts.optional(),
  limits: quantities.optional(),
  requests: quantities.optional(),
  readOnlyRootFilesystem: z.boolean().optional(),
});

/** What a client sends to deploy a function. */
export type FunctionDeployment = z.output<typeof functionDeploymentSchema>;
