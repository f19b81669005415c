import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import type { Fetch } from '@ebb/sdk';
import { Agent, request } from 'undici';

const CONNECT_TIMEOUT_MS = 10_000;

/** Statuses whose answers have no body by definition. */
const BODILESS = new Set([204, 205, 304]);

/**
 * A `fetch` for a command line: bytes pass untouched (no decompression), redirects are not followed, any method may
 * carry a body, and there is no limit to how long an answer or a log may be silent. With `keepAlive` false each request
 * has a connection of its own.
 */
export function createHttpFetch({ keepAlive = true }: { readonly keepAlive?: boolean } = {}): Fetch {
  const dispatcher = new Agent({
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(keepAlive ? {} : { pipelining: 0 }),
    connect: { timeout: CONNECT_TIMEOUT_MS },
  });
  return async (url, init) => {
    const answer = await request(url, {
      dispatcher,
      method: (init.method ?? 'GET') as 'GET',
      headers: Object.fromEntries(new Headers(init.headers)),
      body: bodyOf(init.body),
      signal: init.signal ?? null,
    });
    const headers = new Headers();
    for (const [name, value] of Object.entries(answer.headers)) {
      for (const item of Array.isArray(value) ? value : [value]) if (item !== undefined) headers.append(name, item);
    }
    if (!BODILESS.has(answer.statusCode)) {
      const body = Readable.toWeb(answer.body) as ReadableStream<Uint8Array>;
      return new Response(body, { status: answer.statusCode, statusText: answer.statusText, headers });
    }
    await answer.body.dump();
    return new Response(null, { status: answer.statusCode, statusText: answer.statusText, headers });
  };
}

function bodyOf(body: RequestInit['body']): string | Uint8Array | Readable | null {
  if (body === undefined || body === null || typeof body === 'string' || body instanceof Uint8Array)
    return body ?? null;
  if (body instanceof ReadableStream) return Readable.fromWeb(body as NodeReadableStream<Uint8Array>);
  throw new TypeError('the client sends only text, bytes and streams');
}
