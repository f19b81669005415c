import type { IncomingMessage } from 'node:http';
import type { Context } from './context.ts';
import { LightHeaders } from './light-headers.ts';
import { LightRequest } from './light-request.ts';
import { createLightResponse } from './light-response.ts';

/** What answering with fetch handlers needs of the light classes. */
export interface LightFetch {
  readonly toRequest: (incoming: IncomingMessage, context: Context) => Request;
  readonly LightResponse: ReturnType<typeof createLightResponse>;
}

/**
 * Puts light classes in front of fetch. Loading fetch takes 25 ms of a cold start and its classes most of a warm
 * call, while most handlers use little of them. The names `Request`, `Response` and `Headers` mean stand-ins from then
 * on; the properties of `globalThis` stay, because merely describing them would load fetch.
 */
export function installLightFetch(): LightFetch {
  const loadRequest = () => globalThis.Request;
  const LightResponse = createLightResponse(() => globalThis.Response);
  const toLight = (incoming: IncomingMessage, context: Context) =>
    new LightRequest(incoming, context, (url, init) => new (loadRequest())(url, init));
  const isInstalled = nameGlobally({
    Response: LightResponse,
    Request: createLazyClass(() => createRequestClass(loadRequest())),
    Headers: createLazyClass(() => {
      // From the moment somebody can ask, `request.headers instanceof Headers` is true.
      Object.setPrototypeOf(LightHeaders.prototype, globalThis.Headers.prototype);
      return globalThis.Headers;
    }),
  });
  const originalFetch = globalThis.fetch;
  globalThis.fetch = (input, init) => originalFetch(toReal(input), init);
  return {
    LightResponse,
    toRequest: (incoming, context) => {
      const light = toLight(incoming, context);
      return isInstalled ? (light as unknown as Request) : LightRequest.real(light);
    },
  };
}

function toReal<T>(input: T): T | Request {
  return input instanceof LightRequest ? LightRequest.real(input) : input;
}

function createRequestClass(original: typeof Request): typeof Request {
  Object.setPrototypeOf(LightRequest.prototype, original.prototype);
  return class Request extends original {
    constructor(input: string | URL | globalThis.Request, init?: RequestInit) {
      super(toReal(input), init);
    }

    static override [Symbol.hasInstance](value: unknown): boolean {
      return original[Symbol.hasInstance](value);
    }
  };
}

type Class = abstract new (...parameters: never[]) => object;

/** A class that is made by `load` when it is first used for anything. */
function createLazyClass(load: () => Class): Class {
  let loaded: Class | undefined;
  const use = () => (loaded ??= load());
  // An ordinary function, because the `prototype` of a class could not be another than its own.
  const proxy: Class = new Proxy(function () {} as unknown as Class, {
    construct: (_target, parameters, made) =>
      Reflect.construct(use(), parameters, made === proxy ? use() : made) as object,
    get: (_target, name) => Reflect.get(use(), name) as unknown,
    has: (_target, name) => Reflect.has(use(), name),
  });
  return proxy;
}

/**
 * Declares names for all code of the process, in front of the properties of `globalThis`. Says false where somebody
 * made those properties immutable, which forbids it.
 */
function nameGlobally(values: Readonly<Record<'Response' | 'Request' | 'Headers', unknown>>): boolean {
  const { runInThisContext } = process.getBuiltinModule('node:vm');
  const source = 'let Response, Request, Headers; (values) => { ({ Response, Request, Headers } = values); }';
  try {
    (runInThisContext(source) as (all: typeof values) => void)(values);
    return true;
  } catch {
    return false;
  }
}
