import {
  CALL_ID_HEADER,
  CALLBACK_HEADER,
  DELAY_HEADER,
  describeSubmitValue,
  IDEMPOTENCY_KEY_HEADER,
  KEY_HEADER,
  MAX_AGE_HEADER,
  PRIORITY_HEADER,
  RUN_AT_HEADER,
  SUBMIT_VALUES,
  type SubmitValues,
} from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import { createHeaderTable } from '../core/http1/header-name.ts';
import type { GivenCall } from '../core/ports.ts';

const NAMES = [
  CALL_ID_HEADER,
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
  Pick<GivenCall, 'wantedId' | 'runAt' | 'delayMs' | 'maxAgeMs' | 'priority' | 'key' | 'idempotencyKey' | 'callbacks'>
>;

/**
 * What a caller may choose as a call's id: a random UUID (RFC 9562, version 4). The server's own are of version 7, so no
 * choice is ever one that it will make, or that follows from one.
 */
const WANTED_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Reads what the headers of a submit say; names and values alternate. Throws INVALID_REQUEST. */
export function readSubmitHeaders(raw: readonly string[], now: number): SubmitHeaders {
  let given: Map<Name, string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = HEADERS.find(raw[i] as string);
    if (name === undefined) continue;
    given ??= new Map();
    // Clients send it empty where nobody is to be told.
    if (name === CALLBACK_HEADER && raw[i + 1] === '') continue;
    if (given.has(name)) throw new EbbError('INVALID_REQUEST', `the header ${name} is there more than once`);
    given.set(name, raw[i + 1] as string);
  }
  return given === undefined ? {} : readGiven(given, now);
}

function readGiven(given: ReadonlyMap<Name, string>, now: number): SubmitHeaders {
  const read = <V extends keyof SubmitValues>(name: Name, value: V): SubmitValues[V] | undefined => {
    const text = given.get(name);
    if (text === undefined) return undefined;
    const parsed = SUBMIT_VALUES[value].parse(text, now);
    if (parsed !== undefined) return parsed;
    throw new EbbError('INVALID_REQUEST', describeSubmitValue(value, `the header ${name}`, text));
  };
  const delayMs = read(DELAY_HEADER, 'delay');
  const runAt = read(RUN_AT_HEADER, 'runAt');
  if (delayMs !== undefined && runAt !== undefined)
    throw new EbbError(
      'INVALID_REQUEST',
      `the headers ${DELAY_HEADER} and ${RUN_AT_HEADER} exclude each other; send one`,
    );
  const url = read(CALLBACK_HEADER, 'callback');
  const callId = given.get(CALL_ID_HEADER) ?? '';
  return {
    ...(WANTED_ID.test(callId) ? { wantedId: callId } : {}),
    runAt,
    delayMs,
    maxAgeMs: read(MAX_AGE_HEADER, 'maxAge'),
    priority: read(PRIORITY_HEADER, 'priority'),
    key: read(KEY_HEADER, 'key'),
    idempotencyKey: read(IDEMPOTENCY_KEY_HEADER, 'idempotencyKey'),
    callbacks: url === undefined ? undefined : [{ url }],
  };
}
