import { PRIORITIES } from './invocation.ts';
import { parseDurationMs } from './quantity.ts';

const DAY_MS = 86_400_000;
const MAX_SPAN_MS = 365 * DAY_MS;
const MIN_AGE_MS = 1_000;
const MAX_IDEMPOTENCY_KEY = 255;
const MAX_KEY = 512;
const MAX_URL = 2_048;
/** Most characters of a value that are said back. */
const MAX_SHOWN = 80;
/** RFC 3339 section 5.6; which days there are is for the parser. */
const MOMENT = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** What a submit may say of a call as text. */
export interface SubmitValues {
  readonly delay: number;
  readonly runAt: number;
  readonly maxAge: number;
  readonly priority: number;
  readonly key: string;
  readonly idempotencyKey: string;
  readonly callback: string;
}

/** How one of {@link SubmitValues} is read from text. */
export interface SubmitValue<T> {
  /** Durations and moments in milliseconds; undefined for what is not allowed. */
  readonly parse: (text: string, now: number) => T | undefined;
  /** What is, for "must be ...". */
  readonly allowed: string;
}

/** The rules for what a submit says as text; whoever takes it, in headers or options, goes by the same. */
export const SUBMIT_VALUES: { readonly [Name in keyof SubmitValues]: SubmitValue<SubmitValues[Name]> } = {
  delay: { parse: within(0, MAX_SPAN_MS), allowed: 'a duration from 0s to 365d, such as "5m"' },
  runAt: { parse: readMoment, allowed: 'a moment such as "2027-01-31T08:00:00Z", at most 365 days ahead' },
  maxAge: { parse: within(MIN_AGE_MS, MAX_SPAN_MS), allowed: 'a duration from 1s to 365d, such as "6h"' },
  priority: {
    parse: (text) => (/^\d$/.test(text) ? Number(text) : undefined),
    allowed: `a whole number from ${PRIORITIES.min} to ${PRIORITIES.max}`,
  },
  key: { parse: upTo(MAX_KEY), allowed: `1 to ${MAX_KEY} characters` },
  idempotencyKey: { parse: upTo(MAX_IDEMPOTENCY_KEY), allowed: `1 to ${MAX_IDEMPOTENCY_KEY} characters` },
  callback: { parse: readAddress, allowed: `an http or https address of at most ${MAX_URL} characters` },
};

/**
 * Says what is wrong with a value; `given` names it in the words of whoever gave it: `"--delay"`, `the header
 * x-ebb-delay`.
 */
export function describeSubmitValue(name: keyof SubmitValues, given: string, text: string): string {
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 3)}...` : text;
  return `${given} is ${JSON.stringify(shown)} but must be ${SUBMIT_VALUES[name].allowed}`;
}

function within(minMs: number, maxMs: number): (text: string) => number | undefined {
  return (text) => {
    const ms = parseDurationMs(text);
    return ms === undefined || ms < minMs || ms > maxMs ? undefined : ms;
  };
}

function readMoment(text: string, now: number): number | undefined {
  if (!MOMENT.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) || at > now + MAX_SPAN_MS ? undefined : at;
}

function upTo(max: number): (text: string) => string | undefined {
  return (text) => (text.length >= 1 && text.length <= max ? text : undefined);
}

function readAddress(text: string): string | undefined {
  if (text.length > MAX_URL || !/^https?:\/\//i.test(text)) return undefined;
  return URL.canParse(text) ? text : undefined;
}
