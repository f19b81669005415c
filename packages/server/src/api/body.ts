import type { IncomingMessage } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { formatBytes, secretValueSchema, type SubmitCall, submitCallSchema, submitSchema } from '@ebb/contract';
import type { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import { readChunks } from '../core/http1/read-chunks.ts';
import { parseJson } from './parse-json.ts';
import { validate } from './validate.ts';

/** How a route takes its request's body. */
export interface Body<T> {
  /** Media types it takes, each with the schema of its content, or `bytes` for anything. */
  readonly content: Readonly<Record<string, z.ZodType | 'bytes'>>;
  /** Reads the body; `type` is one of the media types, lower-case and without parameters. */
  read(request: IncomingMessage, type: string): Promise<T>;
}

/** A JSON body that a schema describes. Throws INVALID_REQUEST, UNKNOWN_FIELD, PAYLOAD_TOO_LARGE. */
export function jsonBody<S extends z.ZodType>(schema: S, maxBytes: number): Body<z.output<S>> {
  return {
    content: { 'application/json': schema },
    read: async (request) => validate(schema, parseJson(await readBody(request, maxBytes)), 'the body'),
  };
}

/** A secret's value: the body's bytes as they are, or the text in the field `value` of a JSON body. */
export function secretBody(maxBytes: number): Body<Uint8Array> {
  return {
    content: { 'application/octet-stream': 'bytes', 'application/json': secretValueSchema },
    async read(request, type) {
      // JSON may need up to six bytes for one of text.
      const bytes = await readBody(request, type === 'application/json' ? maxBytes * 6 + 64 : maxBytes);
      if (type !== 'application/json') return bytes;
      const value = new TextEncoder().encode(validate(secretValueSchema, parseJson(bytes), 'the body').value);
      if (value.length > maxBytes) throw tooLarge(maxBytes);
      return value;
    },
  };
}

/** What a submit carries: one call, or many. */
export interface SubmitBody {
  readonly calls: readonly SubmitCall[];
  /** Whether the answer is one for many. */
  readonly isBatch: boolean;
}

const batchSchema = submitSchema.options[1];
/** As many as the schema takes; what is more is the schema's to refuse. */
const MAX_CALLS = 10_000;
const CALLS_AT_ONCE = 250;

/** A JSON body with one call or with `calls`. Throws INVALID_REQUEST, UNKNOWN_FIELD, PAYLOAD_TOO_LARGE. */
export function submitBody(maxBytes: number): Body<SubmitBody> {
  return {
    content: { 'application/json': submitSchema },
    async read(request) {
      const value = parseJson(await readBody(request, maxBytes));
      // Told apart here, so that what is wrong is said of the one form that was meant.
      const isBatch = typeof value === 'object' && value !== null && Object.hasOwn(value, 'calls');
      if (isBatch) return { calls: await readBatch(value), isBatch };
      return { calls: [validate(submitCallSchema, value, 'the body')], isBatch };
    },
  };
}

/** Checks calls a few at a time, so that a large batch does not keep other requests waiting. */
async function readBatch(value: object): Promise<readonly SubmitCall[]> {
  const given = 'calls' in value && Array.isArray(value.calls) ? (value.calls as readonly unknown[]) : [];
  if (given.length > 0 && given.length <= MAX_CALLS && Object.keys(value).length === 1) {
    const calls: SubmitCall[] = [];
    for (const one of given) {
      const read = submitCallSchema.safeParse(one);
      if (!read.success) break;
      calls.push(read.data);
      if (calls.length % CALLS_AT_ONCE === 0) await setImmediate();
    }
    if (calls.length === given.length) return calls;
  }
  // Says what is wrong with it.
  return validate(batchSchema, value, 'the body').calls;
}

/** Whether a request has a body of at least one byte. */
export async function hasBody(request: IncomingMessage): Promise<boolean> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (length !== undefined) return Number(length) > 0;
  if (encoding === undefined) return false;
  for await (const chunk of readChunks(request)) if (chunk.length > 0) return true;
  return false;
}

/** The bytes of a request's body. Throws PAYLOAD_TOO_LARGE. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of readChunks(request)) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(maxBytes: number): EbbError {
  return new EbbError(
    'PAYLOAD_TOO_LARGE',
    `the body is larger than ${formatBytes(maxBytes)}, the most this route takes`,
  );
}
