import type { FunctionName } from '@ebb/contract';
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
  const headers: Record<string, string> = { ...request.headers };
  const isGiven = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
  if (request.authenticate === true && !isGiven && transport.authorization !== undefined) {
    headers['authorization'] = transport.authorization;
  }
  return transport.send(`${invokePath(ref)}${partOf(request)}${restOf(request.path)}`, {
    method: request.method ?? (request.body === undefined ? 'GET' : 'POST'),
    headers,
    ...(request.body === undefined ? {} : { body: request.body }),
    signal: request.signal,
  });
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
