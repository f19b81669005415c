import { describeProblem } from '@ebb/contract';
import type { z } from 'zod';
import { EbbError } from '../core/errors.ts';

/** The input as the schema reads it. Throws INVALID_REQUEST or UNKNOWN_FIELD with one sentence about `root`. */
export function validate<S extends z.ZodType>(schema: S, input: unknown, root: string): z.output<S> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const problem = describeProblem(result.error, input, root);
  throw new EbbError(problem.code, problem.message);
}
