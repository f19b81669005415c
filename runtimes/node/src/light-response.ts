import type { ServerResponse } from 'node:http';
import { standInFor } from './stand-in.ts';

type StandardResponse = typeof Response;
type Body = ConstructorParameters<StandardResponse>[0];

/** The parts of a response that is sent as it was given, without a stream in between. */
interface Parts {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer> | null;
  readonly type: string | undefined;
}

const NULL_BODY_STATUS = new Set([101, 103, 204, 205, 304]);
/** Keeps what only the runtime asks of a response out of what handlers see of the class. */
const PARTS = Symbol('parts');
const REAL = Symbol('real');

/**
 * What the name `Response` means to handlers: one made of text or bytes and plain headers is kept as it is, at a tenth
 * of the cost and without loading fetch; any other, or one of which more is asked than its status, becomes a real one.
 */
export class LightResponse {
  #parts: Parts | undefined;
  #real: Response | undefined;

  constructor(body?: Body, init?: ResponseInit) {
    this.#parts = toParts(body, init);
    if (!this.#parts) this.#real = new globalThis.Response(body, init);
  }

  static [PARTS](value: unknown): Parts | undefined {
    return isObject(value) && #parts in value && !value.#real ? value.#parts : undefined;
  }

  static [REAL](value: unknown): Response | undefined {
    if (!isObject(value) || !(#parts in value)) return undefined;
    if (value.#parts && !value.#real) {
      const { body, status, headers, type } = value.#parts;
      const typed = type === undefined || 'content-type' in headers ? headers : { ...headers, 'content-type': type };
      value.#real = new globalThis.Response(body, { status, headers: typed });
    }
    return value.#real;
  }

  static [Symbol.hasInstance](value: unknown): boolean {
    if (this !== LightResponse) return Function.prototype[Symbol.hasInstance].call(this, value);
    return (isObject(value) && #parts in value) || value instanceof globalThis.Response;
  }

  static json(data: unknown, init?: ResponseInit): LightResponse {
    const text = JSON.stringify(data);
    const parts = text === undefined ? undefined : toParts(text, init);
    if (!parts) return LightResponse.#from(globalThis.Response.json(data, init));
    const response = new LightResponse();
    response.#parts = { ...parts, type: 'application/json' };
    return response;
  }

  static error(): LightResponse {
    return LightResponse.#from(globalThis.Response.error());
  }

  static redirect(...parameters: Parameters<StandardResponse['redirect']>): LightResponse {
    return LightResponse.#from(globalThis.Response.redirect(...parameters));
  }

  static #from(real: Response): LightResponse {
    const response = new LightResponse();
    response.#parts = undefined;
    response.#real = real;
    return response;
  }

  get status(): number {
    return this.#real?.status ?? this.#parts?.status ?? 200;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }
}

Object.defineProperty(LightResponse, 'name', { value: 'Response' });
standInFor(LightResponse, () => globalThis.Response, LightResponse[REAL]);

/** The parts of a light response of which nobody asked for more; undefined for anything else. */
export const partsOf: (value: unknown) => Parts | undefined = LightResponse[PARTS];

/** The real response behind a light one; undefined for anything else. */
export const realOf: (value: unknown) => Response | undefined = LightResponse[REAL];

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The parts of a simple response; undefined for what only a real one can judge, invalid input included. */
function toParts(body: unknown, init: ResponseInit | undefined): Parts | undefined {
  const isText = typeof body === 'string';
  const isEmpty = body === undefined || body === null;
  if (!isText && !isEmpty && !(body instanceof Uint8Array && body.buffer instanceof ArrayBuffer)) return undefined;
  if (init !== undefined && !isObject(init)) return undefined;
  const { status = 200, statusText = '', headers = {} } = init ?? {};
  if (!Number.isInteger(status) || status < 200 || status > 599 || statusText !== '') return undefined;
  if (!isEmpty && NULL_BODY_STATUS.has(status)) return undefined;
  if (!isObject(headers) || Object.getPrototypeOf(headers) !== Object.prototype) return undefined;
  if (Object.getOwnPropertySymbols(headers).length > 0) return undefined;
  // A copy: the standard takes bytes and headers as they are now, whatever becomes of them later.
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers) as readonly [string, unknown][]) {
    if (typeof value !== 'string' || !PLAIN_NAME.test(name) || !PLAIN_VALUE.test(value)) return undefined;
    plain[name] = value;
  }
  return {
    status,
    headers: plain,
    body: isText ? body : isEmpty ? null : new Uint8Array(body),
    type: isText ? 'text/plain;charset=UTF-8' : undefined,
  };
}

/** Names in lower case only, so that two spellings of one name are left to a real response to join. */
const PLAIN_NAME = /^(?!(?:set-cookie|connection|keep-alive|transfer-encoding|upgrade|te|trailer)$)[-a-z0-9_]+$/;
const PLAIN_VALUE = /^(?![ \t])[\t\x20-\x7e]*(?<![ \t])$/;

/** Sends the parts of a light response in one write. */
export function sendParts({ status, headers, body, type }: Parts, outgoing: ServerResponse): void {
  const out: Record<string, string | number> = { ...headers };
  if (type !== undefined) out['content-type'] ??= type;
  if (!NULL_BODY_STATUS.has(status)) {
    out['content-length'] ??= typeof body === 'string' ? Buffer.byteLength(body) : (body?.byteLength ?? 0);
  }
  outgoing.writeHead(status, out);
  outgoing.end(body ?? undefined);
}
