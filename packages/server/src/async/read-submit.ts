import { describeSubmitValue, parseDurationMs, SUBMIT_VALUES, type SubmitCall, type SubmitValues } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type { GivenBody, GivenCall } from '../core/ports.ts';
import { splitTarget } from './split-target.ts';

/** Header names that a submit cannot set: they frame the message, are the connection's, or the platform's (G5). */
const REFUSED =
  /^(?:x-ebb-.*|x-call-id|x-start-time|x-forwarded-(?:for|host|proto)|forwarded|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|http2-settings|content-length)$/i;
/** What a header's value may have in it: RFC 9110 section 5.5, as one byte a character. */
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const MAX_HEADERS = 100;

/** The call that a submit as JSON means; names without a namespace are of `namespace`. Throws INVALID_REQUEST. */
export function readSubmit(call: SubmitCall, namespace: string, now: number): GivenCall {
  const { delay, runAt, maxAge, key, idempotencyKey, priority, callback, method, path } = call;
  const { body, contentType } = bodyOf(call);
  const url = valueOf('callback', callback, now);
  return {
    ...splitTarget(call.function, namespace),
    method,
    path,
    headers: headersOf(call.headers, contentType),
    body,
    runAt: valueOf('runAt', runAt, now),
    delayMs: delay === undefined ? undefined : msOf(delay),
    maxAgeMs: maxAge === undefined ? undefined : msOf(maxAge),
    priority,
    key,
    idempotencyKey,
    callbacks: url === undefined ? undefined : [{ url }],
  };
}

function bodyOf({ body, bodyBase64, json }: SubmitCall): { readonly body: GivenBody; readonly contentType?: string } {
  if (body !== undefined) return { body: bytesOf(Buffer.from(body)), contentType: 'text/plain; charset=utf-8' };
  if (bodyBase64 !== undefined) {
    return { body: bytesOf(Buffer.from(bodyBase64, 'base64')), contentType: 'application/octet-stream' };
  }
  if (json !== undefined) return { body: bytesOf(Buffer.from(JSON.stringify(json))), contentType: 'application/json' };
  return { body: { kind: 'none' } };
}

function bytesOf(bytes: Uint8Array): GivenBody {
  return bytes.length === 0 ? { kind: 'none' } : { kind: 'bytes', bytes };
}

function headersOf(given: SubmitCall['headers'], contentType: string | undefined): string[] {
  const headers: string[] = [];
  let hasType = false;
  for (const [name, value] of Object.entries(given)) {
    if (REFUSED.test(name))
      throw new EbbError('INVALID_REQUEST', `"headers" has "${name}", which only the platform and connections set`);
    if (!VALUE.test(value))
      throw new EbbError('INVALID_REQUEST', `"headers" has a value under "${name}" that HTTP does not allow`);
    hasType ||= name.toLowerCase() === 'content-type';
    headers.push(name, value);
  }
  if (headers.length > MAX_HEADERS * 2)
    throw new EbbError('INVALID_REQUEST', `"headers" must have at most ${MAX_HEADERS} entries`);
  if (contentType !== undefined && !hasType) headers.push('Content-Type', contentType);
  return headers;
}

/** What the field says, by the rules that hold for headers and options as well. */
function valueOf<Name extends 'runAt' | 'callback'>(
  name: Name,
  text: string | undefined,
  now: number,
): SubmitValues[Name] | undefined {
  if (text === undefined) return undefined;
  const value = SUBMIT_VALUES[name].parse(text, now);
  if (value !== undefined) return value;
  throw new EbbError('INVALID_REQUEST', describeSubmitValue(name, `"${name}"`, text));
}

function msOf(value: string | number): number {
  return parseDurationMs(value) ?? 0;
}
