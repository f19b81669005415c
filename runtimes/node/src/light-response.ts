import type { ServerResponse } from 'node:http';

type OriginalResponse = typeof Response;
type Body = ConstructorParameters<OriginalResponse>[0];

/** The parts of a response that is sent as it was given, without a stream in between. */
interface Parts {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  readonly type: string | undefined;
}

const NULL_BODY_STATUS = new Set([101, 103, 204, 205, 304]);

/**
 * Makes the class that stands in for the global `Response`: one made of text or bytes and plain headers is kept as
 * it is, at a tenth of the cost and without loading fetch; any other, or one that is read, becomes a real one.
 */
export function createLightResponse(loadOriginal: () => OriginalResponse) {
  class LightResponse {
    #parts: Parts | undefined;
    #real: Response | undefined;

    constructor(body?: Body, init?: ResponseInit) {
      this.#parts = toParts(body, init);
      if (!this.#parts) this.#real = new (loadOriginal())(body, init);
    }

    /** What to send when nobody asked for more than a light response has. */
    static parts(response: LightResponse): Parts | undefined {
      return response.#real ? undefined : response.#parts;
    }

    static real(response: LightResponse): Response {
      if (!response.#real) {
        const { body, status, statusText, headers, type } = response.#parts as Parts;
        const typed = type === undefined ? headers : { 'content-type': type, ...headers };
        response.#real = new (loadOriginal())(body as Body, { status, statusText, headers: typed });
      }
      return response.#real;
    }

    static isLight(value: unknown): value is LightResponse {
      return typeof value === 'object' && value !== null && #parts in value;
    }

    static [Symbol.hasInstance](value: unknown): boolean {
      if (this !== LightResponse) return Function.prototype[Symbol.hasInstance].call(this, value);
      return LightResponse.isLight(value) || value instanceof loadOriginal();
    }

    static json(data: unknown, init?: ResponseInit): LightResponse | Response {
      const text = JSON.stringify(data);
      const parts = text === undefined ? undefined : toParts(text, init);
      if (!parts) return loadOriginal().json(data, init);
      const response = new LightResponse();
      response.#parts = { ...parts, type: 'application/json' };
      return response;
    }

    static error(): Response {
      return loadOriginal().error();
    }

    static redirect(...parameters: Parameters<OriginalResponse['redirect']>): Response {
      return loadOriginal().redirect(...parameters);
    }

    get status(): number {
      return this.#real?.status ?? this.#parts?.status ?? 200;
    }

    get statusText(): string {
      return this.#real?.statusText ?? this.#parts?.statusText ?? '';
    }

    get ok(): boolean {
      return this.status >= 200 && this.status <= 299;
    }

    get [Symbol.toStringTag](): string {
      return 'Response';
    }
  }

  for (const name of ['body', 'bodyUsed', 'headers', 'redirected', 'type', 'url'] as const) {
    Object.defineProperty(LightResponse.prototype, name, {
      configurable: true,
      enumerable: true,
      get(this: LightResponse) {
        return LightResponse.real(this)[name];
      },
    });
  }
  for (const name of ['arrayBuffer', 'blob', 'bytes', 'clone', 'formData', 'json', 'text'] as const) {
    Object.defineProperty(LightResponse.prototype, name, {
      configurable: true,
      enumerable: true,
      writable: true,
      value(this: LightResponse) {
        return LightResponse.real(this)[name]();
      },
    });
  }
  return LightResponse;
}

/** The parts of a simple response; undefined for what only a real one can judge, invalid input included. */
function toParts(body: unknown, init: ResponseInit | undefined): Parts | undefined {
  const isText = typeof body === 'string';
  const isEmpty = body === undefined || body === null;
  if (!isText && !isEmpty && !(body instanceof Uint8Array && body.buffer instanceof ArrayBuffer)) return undefined;
  const { status = 200, statusText = '', headers = {} } = init ?? {};
  if (!Number.isInteger(status) || status < 200 || status > 599 || statusText !== '') return undefined;
  if (!isEmpty && NULL_BODY_STATUS.has(status)) return undefined;
  if (Object.getPrototypeOf(headers) !== Object.prototype) return undefined;
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string' || !PLAIN_NAME.test(name) || !PLAIN_VALUE.test(value)) return undefined;
  }
  // A copy: the standard takes bytes and headers as they are now, whatever becomes of them later.
  return {
    status,
    statusText,
    headers: { ...(headers as Record<string, string>) },
    body: isText ? body : isEmpty ? null : Uint8Array.from(body),
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
