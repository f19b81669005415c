import type { IncomingMessage } from 'node:http';
import { CALL_ID_HEADER, CALLBACK_HEADER, START_TIME_HEADER, VERSION_HEADER } from '@ebb/contract';
import { newCallId } from '../core/ids.ts';
import { parseHeaderLines } from '../core/http1/header-lines.ts';
import { createHeaderTable } from '../core/http1/header-name.ts';

const FORWARDED_FOR = 'x-forwarded-for';
const FORWARDED_HOST = 'x-forwarded-host';
const FORWARDED_PROTO = 'x-forwarded-proto';

/** Headers of one connection, never passed on (RFC 9110 section 7.6.1), and `expect`, which the gateway answers. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * What becomes of a request's headers that are not just passed on. Dropped are those of the connection, and those the
 * platform sets: what a client sends under these names would pretend to come from it (G5).
 */
const REQUEST_HEADERS = createHeaderTable<'dropped' | 'forwarded' | 'host' | 'traceparent' | 'authorization'>([
  ...dropped(HOP_BY_HOP),
  ...dropped([CALL_ID_HEADER, START_TIME_HEADER]),
  [FORWARDED_FOR, 'forwarded'],
  [FORWARDED_HOST, 'forwarded'],
  [FORWARDED_PROTO, 'forwarded'],
  ['forwarded', 'forwarded'],
  ['host', 'host'],
  ['traceparent', 'traceparent'],
  ['authorization', 'authorization'],
]);
/** The same for a call that is kept: the length of its body is known by then, and what was said to the platform is done. */
const KEPT_HEADERS = createHeaderTable<'dropped' | 'host' | 'authorization'>([
  ...dropped(HOP_BY_HOP),
  ...dropped([CALL_ID_HEADER, START_TIME_HEADER, CALLBACK_HEADER, 'content-length']),
  ...dropped([FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, 'forwarded']),
  ['host', 'host'],
  ['authorization', 'authorization'],
]);
/** What of an answer is dropped. */
const RESPONSE_HEADERS = createHeaderTable<'dropped'>([
  ...dropped(HOP_BY_HOP),
  ...dropped([CALL_ID_HEADER, START_TIME_HEADER, VERSION_HEADER]),
]);
/** What besides may not come after the body: it frames or routes. */
const NO_TRAILERS = createHeaderTable<'dropped'>(dropped(['content-length', 'set-cookie']));
/** Every header that starts so is the platform's. */
const OWN_PREFIX = 'x-ebb-';

const LINE_END = '\r\n';

/** Header with credentials for the platform itself, for callers whose `Authorization` belongs to the function. */
export const PLATFORM_AUTHORIZATION_HEADER = 'x-ebb-authorization';

/** Whether a request's `Authorization` is for the platform and not for the function, which then must not see it. */
export function isAuthorizationOurs(request: IncomingMessage, route: { readonly authRequired: boolean }): boolean {
  return route.authRequired && request.headers[PLATFORM_AUTHORIZATION_HEADER] === undefined;
}

/** What the gateway says about a call to the instance that gets it. */
export interface CallHeaders {
  readonly callId: string;
  /** Nanoseconds since the Unix epoch, in decimal. */
  readonly startTime: string;
  /** Milliseconds since the Unix epoch, in decimal. */
  readonly deadline: string;
  readonly remoteAddress: string;
  readonly protocol: 'http' | 'https';
  /** Whether `Authorization` was for the platform and must not reach the function. */
  readonly stripAuthorization: boolean;
  /** Whether the function was deployed through the compatible API, where what a caller says of its way here is kept. */
  readonly isOpenFaas: boolean;
  /** Id of the call that this one is a copy of, if it is. */
  readonly shadowOf: string | undefined;
  /** Set where the platform makes the call. */
  readonly attempt: { readonly number: number; readonly platformHeaders?: readonly string[] | undefined } | undefined;
}

/**
 * The header lines an instance gets, each with its end: those of the client without the connection's own and without
 * anything that would pretend to come from the platform, and then the platform's. Names keep their case. Written right
 * away, because every call needs them as text. Returns undefined when the request is ambiguous (two `Host` headers).
 */
export function requestLines(raw: readonly string[], call: CallHeaders): string | undefined {
  const listed = connectionListed(raw);
  let lines = '';
  let host = '';
  let traceparent = '';
  let given = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    const row = REQUEST_HEADERS.find(name);
    if (row === 'dropped' || isOwn(name) || listed?.has(name.toLowerCase())) continue;
    if (row === 'host') {
      if (host !== '') return undefined;
      host = value;
    } else if (row === 'traceparent') {
      traceparent = value;
      continue;
    } else if (row === 'forwarded') {
      if (!call.isOpenFaas) continue;
      given |= GIVEN[name.length] ?? 0;
    } else if (row === 'authorization' && call.stripAuthorization) continue;
    lines += `${name}: ${value}\r\n`;
  }
  const trace =
    traceparent !== '' && TRACEPARENT.test(traceparent)
      ? traceparent
      : traceparentOf(call.isOpenFaas && !UUID.test(call.callId) ? newCallId() : call.callId);
  // In one piece for nearly all calls: this is the warm path.
  if (given === 0)
    lines += `X-Call-Id: ${call.callId}\r\nX-Start-Time: ${call.startTime}\r\nX-Ebb-Deadline: ${call.deadline}\r\nX-Forwarded-For: ${call.remoteAddress}\r\nX-Forwarded-Host: ${host}\r\nX-Forwarded-Proto: ${call.protocol}\r\ntraceparent: ${trace}\r\n`;
  else {
    lines += `X-Call-Id: ${call.callId}\r\nX-Start-Time: ${call.startTime}\r\nX-Ebb-Deadline: ${call.deadline}\r\ntraceparent: ${trace}\r\n`;
    lines += forwardedLines(given, host, call);
  }
  if (call.shadowOf !== undefined) lines += `X-Ebb-Shadow-Of: ${call.shadowOf}\r\n`;
  return call.attempt === undefined ? lines : lines + attemptLines(call.attempt);
}

/** By the length of their names, the headers about a call's way that a caller may have sent. */
const FOR = 1;
const HOST = 2;
const PROTO = 4;
const GIVEN: Readonly<Record<number, number>> = {
  [FORWARDED_FOR.length]: FOR,
  [FORWARDED_HOST.length]: HOST,
  [FORWARDED_PROTO.length]: PROTO,
};

/** What of a call's way here the caller has not said itself. */
function forwardedLines(given: number, host: string, { remoteAddress, protocol }: CallHeaders): string {
  const client = (given & FOR) === 0 ? `X-Forwarded-For: ${remoteAddress}\r\n` : '';
  const name = (given & HOST) === 0 ? `X-Forwarded-Host: ${host}\r\n` : '';
  return client + name + ((given & PROTO) === 0 ? `X-Forwarded-Proto: ${protocol}\r\n` : '');
}

/**
 * The headers of a request that are kept for a call to be made later: those of the client without the connection's own,
 * without the framing of its body, and without anything that would pretend to come from the platform (G5). Returns
 * undefined when the request is ambiguous (two `Host` headers).
 */
export function keptHeaders(raw: readonly string[], stripAuthorization: boolean): string[] | undefined {
  const listed = connectionListed(raw);
  const headers: string[] = [];
  let hosts = 0;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const row = KEPT_HEADERS.find(name);
    if (row === 'dropped' || isOwn(name) || listed?.has(name.toLowerCase())) continue;
    if (row === 'host') hosts += 1;
    if (row === 'authorization' && stripAuthorization) continue;
    headers.push(name, raw[i + 1] as string);
  }
  return hosts > 1 ? undefined : headers;
}

function attemptLines({ number, platformHeaders = [] }: NonNullable<CallHeaders['attempt']>): string {
  let lines = `X-Ebb-Attempt: ${number}\r\n`;
  for (let i = 0; i < platformHeaders.length; i += 2) lines += `${platformHeaders[i]}: ${platformHeaders[i + 1]}\r\n`;
  return lines;
}

/** What {@link requestLines} returns as names and values that alternate. */
export function requestHeaders(raw: readonly string[], call: CallHeaders): string[] | undefined {
  const lines = requestLines(raw, call);
  return lines === undefined ? undefined : parseHeaderLines(lines, 0, lines.length - LINE_END.length);
}

/** The headers a caller gets: the instance's without the connection's own, then the platform's. */
export function responseHeaders(
  raw: readonly string[],
  call: Pick<CallHeaders, 'callId' | 'startTime'>,
  version: string,
): string[] {
  const listed = connectionListed(raw);
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (RESPONSE_HEADERS.find(name) || listed?.has(name.toLowerCase())) continue;
    headers.push(name, raw[i + 1] as string);
  }
  headers.push('X-Call-Id', call.callId, 'X-Start-Time', call.startTime, 'X-Ebb-Version', version);
  return headers;
}

/** The trailers a caller gets: the instance's without those that frame, route or pretend to be the platform's. */
export function responseTrailers(raw: readonly string[]): string[] {
  const trailers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    if (RESPONSE_HEADERS.find(name) || NO_TRAILERS.find(name)) continue;
    trailers.push(name, raw[i + 1] as string);
  }
  return trailers;
}

function dropped(names: Iterable<string>): (readonly [string, 'dropped'])[] {
  return [...names].map((name) => [name, 'dropped']);
}

function isOwn(name: string): boolean {
  // Most names begin with another letter than this one, which is cheaper to see.
  const first = name.charCodeAt(0);
  return (first === 120 || first === 88) && name.slice(0, OWN_PREFIX.length).toLowerCase() === OWN_PREFIX;
}

/** An id as the platform makes it. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** W3C trace context, version 00. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A trace of its own for a call that came without one: the call id is the trace id. */
function traceparentOf(callId: string): string {
  const parent = callId.slice(19, 23) + callId.slice(24);
  return `00-${callId.slice(0, 8)}${callId.slice(9, 13)}${callId.slice(14, 18)}${parent}-${parent}-01`;
}

/** Names that `Connection` headers list besides the well-known ones; undefined in the usual case of none. */
function connectionListed(raw: readonly string[]): Set<string> | undefined {
  let listed: Set<string> | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    for (const token of connectionTokens(raw[i + 1] as string)) (listed ??= new Set()).add(token);
  }
  return listed;
}

function connectionTokens(value: string): string[] {
  if (value === 'keep-alive' || value === 'close') return [];
  const tokens = value
    .toLowerCase()
    .split(',')
    .map((token) => token.trim());
  // Framing and routing headers cannot be made to vanish by listing them.
  return tokens.filter((token) => !HOP_BY_HOP.has(token) && !['close', 'content-length', 'host', ''].includes(token));
}
