import { LightRequest } from './light-request.ts';
import { LightResponse } from './light-response.ts';

/** Whether code of the process has already used fetch or its classes; where Node does not tell, it may have. */
export function isFetchLoaded(): boolean {
  const { moduleLoadList } = process as { moduleLoadList?: readonly string[] };
  return moduleLoadList?.some((name) => name.includes('undici')) ?? true;
}

/**
 * Puts light classes in front of fetch: loading fetch takes 25 ms of a cold start and its classes most of a warm call,
 * while most handlers use little of them. The names `Request` and `Response` mean stand-ins for all code of the process
 * from then on. The properties of `globalThis` stay, because merely describing them would load fetch; the one thing that
 * does not work is `new globalThis.Request(request)` with a light request. Says false, and changes nothing that shows,
 * where somebody made those properties immutable.
 */
export function installLightFetch(): boolean {
  const { runInThisContext } = process.getBuiltinModule('node:vm');
  const source = 'let Response, Request; (classes) => { ({ Response, Request } = classes); }';
  const { fetch } = globalThis;
  try {
    globalThis.fetch = (input, init) => fetch(toReal(input), init);
    (runInThisContext(source) as (classes: unknown) => void)({
      Response: LightResponse,
      Request: createRequestClass(),
    });
    return true;
  } catch {
    return false;
  }
}

/** The standard class, which is looked up when it is first used for anything and takes light requests too. */
function createRequestClass(): typeof Request {
  // An ordinary function, because the `prototype` of a class could not be another than its own.
  const proxy: typeof Request = new Proxy(function () {} as unknown as typeof Request, {
    construct(_target, [input, ...rest]: unknown[], made) {
      const standard = globalThis.Request;
      return Reflect.construct(standard, [toReal(input), ...rest], made === proxy ? standard : made) as object;
    },
    get: (_target, name) => Reflect.get(globalThis.Request, name) as unknown,
    has: (_target, name) => Reflect.has(globalThis.Request, name),
  });
  return proxy;
}

function toReal<T>(input: T): T | Request {
  return LightRequest.realOf(input) ?? input;
}
