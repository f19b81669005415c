import { z } from 'zod';
import { ENV_NAME_PATTERN, secretNameSchema } from './names.ts';
import { parseCpuCores } from './quantity.ts';
import { size } from './quantity-schema.ts';

const MIB = 2 ** 20;

/** A container image, by name, tag or digest. */
export const imageSchema = z
  .string()
  .regex(/^[a-zA-Z0-9][-a-zA-Z0-9._/:@]{0,511}$/, 'must be an image reference such as "registry/name:tag"');

/** What is around `what` (an instance, a task) while it runs: the same fields, bounds and defaults for all. */
export function sandboxFields(what: string) {
  return {
    env: z
      .record(
        z.string().regex(ENV_NAME_PATTERN, 'must be letters, digits and "_", not starting with a digit'),
        z.string().max(131_072),
      )
      .default({})
      .describe('Environment variables.'),
    secrets: z.array(secretNameSchema).max(100).default([]).describe('Secrets of the namespace, mounted as files.'),
    memory: size(5 * MIB, 2 ** 40, 'a size from 5Mi to 1024Gi, such as "256Mi"')
      .default('256Mi')
      .describe(`Memory limit of ${what}, without swap.`),
    cpu: z
      .union([z.string(), z.number()])
      .refine((value) => {
        const cores = parseCpuCores(value);
        return cores !== undefined && cores >= 0.01 && cores <= 512;
      }, 'must be a number of cores from 0.01 to 512, such as 1, 0.5 or "250m"')
      .default(1)
      .describe(`CPU limit of ${what}, in cores.`),
    pids: z.number().int().min(8).max(32_768).default(256).describe(`Most processes and threads of ${what}.`),
    tmp: size(MIB, 2 ** 40, 'a size from 1Mi to 1024Gi, such as "64Mi"')
      .default('64Mi')
      .describe('Size of the writable /tmp.'),
    readOnlyRootFilesystem: z.boolean().default(true).describe('Whether everything but /tmp is read-only.'),
    user: z
      .enum(['tenant', 'image'])
      .default('tenant')
      .describe('Run as the namespace’s own unprivileged user, or as the user the image names.'),
    network: z
      .enum(['egress', 'none'])
      .default('egress')
      .describe('`egress` reaches public addresses only; `none` reaches nothing.'),
  };
}
