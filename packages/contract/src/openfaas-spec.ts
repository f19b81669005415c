import { z } from 'zod';

const quantities = (what: string) =>
  z
    .record(z.string().min(1).max(63), z.string().max(64))
    .optional()
    .describe(`${what} as they were written, for tools that read them back.`);

/**
 * What a deployment through the API compatible with OpenFaaS said and no other field holds, so that it is shown again
 * as it was written. What of it matters for running the function is in the other fields as well.
 */
export const openfaasSpecSchema = z.strictObject({
  limits: quantities('Limits'),
  requests: quantities('Requests'),
  constraints: z.array(z.string().max(1024)).max(100).optional().describe('Placement rules as they were written.'),
  envProcess: z.string().max(131_072).optional().describe('The process to run; the variable `fprocess` has it too.'),
  secretsAt: z.iso
    .datetime()
    .optional()
    .describe('When the newest of its secrets was set, so that a deployment after a change of one is a new version.'),
});

/** What {@link openfaasSpecSchema} describes. */
export type OpenFaasSpec = z.output<typeof openfaasSpecSchema>;
