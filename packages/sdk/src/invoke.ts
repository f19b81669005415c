import { describeSubmitValue, type FunctionName, SUBMIT_VALUES, type Submitted } from '@ebb/contract';
import { readApiError } from './api-error.ts';
import type { RequestBody, Transport } from './transport.ts';

/** A call of a function. */
export interface InvokeRequest {
  /** Default `POST` with a body, `GET` without. */
  readonly method?: string;
  /** An alias to call instead of `live`. */
  readonly alias?: string;
  /** A version to call instead of an alias. */
  readonly version?: number;
  /** Rest of the path after the function's name, with its query: `/users/7?full=1`. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  /**
   * Whether the client's token is sent along, which a function with `auth: required` needs. Off by default: the code
   * of a public function could read the token.
   */
  readonly authenticate?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Calls a function and returns its answer, whatever the status, with the body still streaming. Redirects are not
 * followed.
 */
export async function invokeFunction(
  transport: Transport,
  ref: FunctionName,
  request: InvokeRequest,
): Promise<Response> {
  return transport.send(`${invokePath(ref)}${partOf(request)}${restOf(request.path)}`, {
    method: request.method ?? (request.body === undefined ? 'GET' : 'POST'),
    headers: headersOf(transport, request),
    ...(request.body === undefined ? {} : { body: request.body }),
    signal: request.signal,
  });
}

/** A call of a function that is accepted now and made later. It is always a POST. */
export interface InvokeAsyncRequest extends Omit<InvokeRequest, 'method'> {
  /** A second submit with the same key and body is the first one's. */
  readonly idempotencyKey?: string | undefined;
  /** Begin no earlier than this long after it was accepted, such as `5m`. */
  readonly delay?: string | undefined;
  /** Begin no earlier than this moment, in the form of RFC 3339. */
  readonly runAt?: string | undefined;
  /** 0 to 9. */
  readonly priority?: number | undefined;
  /** How old it may become, such as `6h`. */
  readonly maxAge?: string | undefined;
  /** What order, throttle, debounce and key limits go by. */
  readonly key?: string | undefined;
  /** Address the outcome is posted to. */
  readonly callback?: string | undefined;
}

const SAID = ['delay', 'runAt', 'maxAge', 'priority', 'key', 'idempotencyKey', 'callback'] as const;

/**
 * Hands a call in; it is on disk when the promise resolves. Throws `TypeError` for a field that is not allowed, and
 * `EbbApiError` when the call is not accepted.
 */
export async function invokeAsync(
  transport: Transport,
  ref: FunctionName,
  request: InvokeAsyncRequest,
): Promise<Submitted> {
  const { idempotencyKey, delay, runAt, priority, maxAge, key, callback } = request;
  const said = {
    'idempotency-key': idempotencyKey,
    'x-ebb-delay': delay,
    'x-ebb-run-at': runAt,
    'x-ebb-priority': priority,
    'x-ebb-max-age': maxAge,
    'x-ebb-key': key,
    'x-callback-url': callback,
  };
  for (const name of SAID) {
    const value = request[name];
    if (value === undefined || SUBMIT_VALUES[name].parse(String(value), Date.now()) !== undefined) continue;
    // In the caller's words: the server would speak of the header.
    throw new TypeError(describeSubmitValue(name, `"${name}"`, String(value)));
  }
  const headers = headersOf(transport, request);
  for (const [name, value] of Object.entries(said)) if (value !== undefined) headers[name] = String(value);
  const response = await transport.send(
    `/async-function/${ref.name}.${ref.namespace}${partOf(request)}${restOf(request.path)}`,
    {
      method: 'POST',
      headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      signal: request.signal,
    },
  );
  if (response.status !== 202) throw await readApiError(response, transport.base);
  const id = response.headers.get('x-call-id') ?? '';
  return response.headers.get('idempotent-replayed') === 'true' ? { id, duplicate: true } : { id };
}

function headersOf(transport: Transport, request: InvokeRequest): Record<string, string> {
  const headers: Record<string, string> = { ...request.headers };
  const isGiven = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
  if (request.authenticate === true && !isGiven && transport.authorization !== undefined) {
    headers['authorization'] = transport.authorization;
  }
  return headers;
}

/** Path of a function on the gateway; its namespace is always named. */
export function invokePath(ref: FunctionName): string {
  return `/function/${ref.name}.${ref.namespace}`;
}

function partOf({ alias, version }: InvokeRequest): string {
  if (version !== undefined) return `@${version}`;
  return alias === undefined ? '' : `:${encodeURIComponent(alias)}`;
}

function restOf(path: string | undefined): string {
  if (path === undefined || path === '' || path.startsWith('/') || path.startsWith('?')) return path ?? '';
  return `/${path}`;
}
