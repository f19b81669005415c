import type { IncomingMessage } from 'node:http';
import { formatBytes, secretValueSchema } from '@ebb/contract';
import type { z } from 'zod';
import { EbbError } from '../core/errors.ts';
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
    read: async (request) => validate(schema, parseJson(await readBytes(request, maxBytes)), 'the body'),
  };
}

/** A secret's value: the body's bytes as they are, or the text in the field `value` of a JSON body. */
export function secretBody(maxBytes: number): Body<Uint8Array> {
  return {
    content: { 'application/octet-stream': 'bytes', 'application/json': secretValueSchema },
    async read(request, type) {
      // JSON may need up to six bytes for one of text.
      const bytes = await readBytes(request, type === 'application/json' ? maxBytes * 6 + 64 : maxBytes);
      if (type !== 'application/json') return bytes;
      const value = new TextEncoder().encode(validate(secretValueSchema, parseJson(bytes), 'the body').value);
      if (value.length > maxBytes) throw tooLarge(maxBytes);
      return value;
    },
  };
}

/** A sender that is silent for this long in the middle of a body is cut off. */
const SILENCE_MS = 30_000;

/**
 * The body's bytes as they come. Giving up on it leaves the connection open for the answer; a sender that falls
 * silent, or goes away, makes it throw.
 */
export async function* readChunks(request: IncomingMessage): AsyncGenerator<Buffer, void, undefined> {
  const startWaiting = () => setTimeout(() => request.destroy(new Error('the sender fell silent')), SILENCE_MS).unref();
  let silence = startWaiting();
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      // The time the reader takes is not the sender's silence.
      clearTimeout(silence);
      yield chunk;
      silence = startWaiting();
    }
  } finally {
    clearTimeout(silence);
  }
}

/** Whether a request has a body of at least one byte. */
export async function hasBody(request: IncomingMessage): Promise<boolean> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (length !== undefined) return Number(length) > 0;
  if (encoding === undefined) return false;
  for await (const chunk of readChunks(request)) if (chunk.length > 0) return true;
  return false;
}

async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
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
