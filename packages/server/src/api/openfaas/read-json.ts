import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { readBody } from '../body.ts';
import { parseJson } from '../parse-json.ts';
import { validate } from '../validate.ts';

/**
 * The JSON body of a request as a schema reads it, whatever its Content-Type says. Fields that are null count as absent,
 * as they do for the clients of this surface. Throws INVALID_REQUEST, PAYLOAD_TOO_LARGE.
 */
export async function readJson<S extends z.ZodType>(
  request: IncomingMessage,
  schema: S,
  maxBytes: number,
): Promise<z.output<S>> {
  return validate(schema, withoutNulls(parseJson(await readBody(request, maxBytes))), 'the body');
}

function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(fields.map(([name, field]) => [name, withoutNulls(field)]));
}
