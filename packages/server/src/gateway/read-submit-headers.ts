import {
  CALLBACK_HEADER,
  DELAY_HEADER,
  IDEMPOTENCY_KEY_HEADER,
  KEY_HEADER,
  MAX_AGE_HEADER,
  parseDurationMs,
  PRIORITIES,
  PRIORITY_HEADER,
  RUN_AT_HEADER,
} from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import { createHeaderTable } from '../core/http1/header-name.ts';
import type { GivenCall } from '../core/ports.ts';

const DAY_MS = 86_400_000;
const MAX_SPAN_MS = 365 * DAY_MS;
const MIN_AGE_MS = 1_000;
const MAX_IDEMPOTENCY_KEY = 255;
const MAX_KEY = 512;
const MAX_URL = 2_048;
/** Most characters of a value that are said back. */
const MAX_SHOWN = 80;

const NAMES = [
  CALLBACK_HEADER,
  DELAY_HEADER,
  IDEMPOTENCY_KEY_HEADER,
  KEY_HEADER,
  MAX_AGE_HEADER,
  PRIORITY_HEADER,
  RUN_AT_HEADER,
] as const;
type Name = (typeof NAMES)[number];
const HEADERS = createHeaderTable<Name>(NAMES.map((name) => [name, name]));

/** What the headers of a submit say of the call. */
export type SubmitHeaders = Partial<
  Pick<GivenCall, 'runAt' | 'delayMs' | 'maxAgeMs' | 'priority' | 'key' | 'idempotencyKey' | 'callbacks'>
>;

/** Reads what the headers of a submit say; names and values alternate. Throws INVALID_REQUEST. */
export function readSubmitHeaders(raw: readonly string[], now: number): SubmitHeaders {
  let given: Map<Name, string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = HEADERS.find(raw[i] as string);
    if (name === undefined) continue;
    given ??= new Map();
    if (given.has(name)) throw new EbbError('INVALID_REQUEST', `the header ${name} is there more than once`);
    given.set(name, raw[i + 1] as string);
  }
  return given === undefined ? {} : readGiven(given, now);
}

function readGiven(given: ReadonlyMap<Name, string>, now: number): SubmitHeaders {
  const read = <T>(name: Name, parse: (text: string) => T | undefined, allowed: string): T | undefined => {
    const text = given.get(name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value !== undefined) return value;
    const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 3)}...` : text;
    throw new EbbError('INVALID_REQUEST', `the header ${name} is ${JSON.stringify(shown)} but must be ${allowed}`);
  };
  const delayMs = read(DELAY_HEADER, within(0, MAX_SPAN_MS), 'a duration from 0s to 365d, such as "5m"');
  const runAt = read(RUN_AT_HEADER, moment, 'a moment such as "2027-01-31T08:00:00Z", at most 365 days ahead');
  if (delayMs !== undefined && runAt !== undefined)
    throw new EbbError(
      'INVALID_REQUEST',
      `the headers ${DELAY_HEADER} and ${RUN_AT_HEADER} exclude each other; send one`,
    );
  const url = read(CALLBACK_HEADER, address, 'an http or https address of at most 2048 characters');
  return {
    runAt,
    delayMs,
    maxAgeMs: read(MAX_AGE_HEADER, within(MIN_AGE_MS, MAX_SPAN_MS), 'a duration from 1s to 365d, such as "6h"'),
    priority: read(PRIORITY_HEADER, priority, `a whole number from ${PRIORITIES.min} to ${PRIORITIES.max}`),
    key: read(KEY_HEADER, upTo(MAX_KEY), `1 to ${MAX_KEY} characters`),
    idempotencyKey: read(IDEMPOTENCY_KEY_HEADER, upTo(MAX_IDEMPOTENCY_KEY), `1 to ${MAX_IDEMPOTENCY_KEY} characters`),
    callbacks: url === undefined ? undefined : [{ url }],
  };

  function moment(text: string): number | undefined {
    if (!MOMENT.test(text)) return undefined;
    const at = Date.parse(text);
    return Number.isNaN(at) || at > now + MAX_SPAN_MS ? undefined : at;
  }
}

/** RFC 3339 section 5.6; which days there are is for the parser. */
const MOMENT = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;

function within(minMs: number, maxMs: number): (text: string) => number | undefined {
  return (text) => {
    const ms = parseDurationMs(text);
    return ms === undefined || ms < minMs || ms > maxMs ? undefined : ms;
  };
}

function upTo(max: number): (text: string) => string | undefined {
  return (text) => (text.length >= 1 && text.length <= max ? text : undefined);
}

function priority(text: string): number | undefined {
  return /^\d$/.test(text) ? Number(text) : undefined;
}

function address(text: string): string | undefined {
  if (text.length > MAX_URL || !/^https?:\/\//i.test(text)) return undefined;
  return URL.canParse(text) ? text : undefined;
}
