import { CALL_ID_HEADER } from '@ebb/contract';
import { headerValue } from './traffic/read-headers.ts';

/** What callers of functions deployed through the compatible API may ask of them. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** The same as an `Allow` header has it. */
export const OPENFAAS_METHODS = [...METHODS].join(', ');
/** An id somebody else gave a call: no spaces or controls, and not long. */
const GIVEN_ID = /^[\x21-\x7e]{1,128}$/;
/** What a body is taken for that nobody said anything of. */
const PLAIN_TYPE = 'text/plain';

/** Whether a function deployed through the compatible API can be called with that method. */
export function isOpenFaasMethod(method: string): boolean {
  return METHODS.has(method);
}

/** The id that a caller gave its call; undefined when it gave none that can be one. */
export function givenCallId(rawHeaders: readonly string[]): string | undefined {
  const id = headerValue(rawHeaders, CALL_ID_HEADER);
  return id !== undefined && GIVEN_ID.test(id) ? id : undefined;
}

/**
 * Adds to the headers of an answer what callers of such functions count on: the type of its body, which is the
 * request's where the function says none, and who served it.
 */
export function completeAnswer(headers: string[], status: number, requestHeaders: readonly string[]): void {
  if (status !== 204 && status !== 304 && headerValue(headers, 'content-type') === undefined) {
    headers.push('Content-Type', headerValue(requestHeaders, 'content-type') ?? PLAIN_TYPE);
  }
  headers.push('X-Served-By', 'ebb');
}
