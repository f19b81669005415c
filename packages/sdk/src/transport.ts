import { EbbUnreachableError, readApiError } from './api-error.ts';

/** The part of `fetch` the client needs. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** A body: whole, or streamed only as fast as the server takes it. */
export type RequestBody = string | Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array>;

/** What a request may carry. */
export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: RequestBody;
  readonly signal?: AbortSignal | undefined;
}

/** Sends requests to one server. */
export interface Transport {
  /** Sends to the API with the token; throws {@link readApiError}'s error unless the answer is 2xx. */
  readonly request: (path: string, options?: RequestOptions) => Promise<Response>;
  /** Sends exactly what is given, without the token, and returns whatever the answer is, redirects included. */
  readonly send: (path: string, options: RequestOptions) => Promise<Response>;
  /** Like {@link request}, with the JSON of the answer, which is taken to be what the contract says. */
  readonly json: <T>(path: string, options?: RequestOptions) => Promise<T>;
  readonly authorization: string | undefined;
  /** Address of the server, without a slash at its end. */
  readonly base: string;
}

/** What a transport needs to know. */
export interface TransportOptions {
  readonly url: string;
  readonly token?: string | undefined;
  readonly fetch?: Fetch | undefined;
}

/** Makes the one way requests leave the client. Failures to reach the server are {@link EbbUnreachableError}. */
export function createTransport(options: TransportOptions): Transport {
  const base = options.url.replace(/\/+$/, '');
  const fetchIt: Fetch = options.fetch ?? ((url, init) => fetch(url, init));
  const authorization = options.token === undefined ? undefined : `Bearer ${options.token}`;

  async function send(path: string, request: RequestOptions): Promise<Response> {
    const init: RequestInit & { duplex?: 'half' } = {
      method: request.method ?? 'GET',
      redirect: 'manual',
      ...(request.headers ? { headers: { ...request.headers } } : {}),
      ...(request.signal ? { signal: request.signal } : {}),
    };
    if (isStreamed(request.body)) {
      init.body = streamOf(request.body);
      init.duplex = 'half';
    } else if (request.body !== undefined) {
      init.body = request.body;
    }
    try {
      return await fetchIt(`${base}${path}${queryOf(request.query)}`, init);
    } catch (error) {
      request.signal?.throwIfAborted();
      throw new EbbUnreachableError(base, error);
    }
  }

  async function request(path: string, given: RequestOptions = {}): Promise<Response> {
    const headers = { ...given.headers, ...(authorization === undefined ? {} : { authorization }) };
    const response = await send(path, { ...given, headers });
    if (!response.ok) throw await readApiError(response, base);
    return response;
  }

  async function json<T>(path: string, given?: RequestOptions): Promise<T> {
    const response = await request(path, given);
    return (await response.json()) as T;
  }

  return { request, send, json, authorization, base };
}

function queryOf(query: RequestOptions['query'] = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

function isStreamed(body: RequestBody | undefined): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && !(body instanceof Uint8Array);
}

/** A stream that pulls from an iterable only as fast as it is sent, and ends the iterable when sending stops. */
function streamOf(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await iterator.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
