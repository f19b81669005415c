import { EbbError } from '../../core/errors.ts';
import type { LogSelection } from '../../core/ports.ts';
import { parsePathName } from './parse-namespace.ts';

/** Which lines of which function's log a request wants. */
export interface LogRequest {
  readonly namespace: string;
  readonly name: string;
  readonly selection: LogSelection;
}

/** How far back lines go where neither `since` nor `tail` says. */
const RECENT_MS = 5 * 60_000;
const TRUE = /^(?:1|t|T|true|TRUE|True)$/;
const WHOLE_NUMBER = /^[+-]?\d{1,9}$/;
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * Reads the query of a request for a log as clients of OpenFaaS write it: an empty value counts as absent, a `follow`
 * that is no boolean as false, a `tail` of 0 or less as all lines. `now` is in milliseconds since the Unix epoch. Throws
 * INVALID_REQUEST for a `tail` or `since` that cannot be read, and for no name.
 */
export function parseLogQuery(query: Readonly<Record<string, string>>, now: number): LogRequest {
  const { name = '', namespace, follow = '', tail = '', since = '', instance = '' } = query;
  if (name === '') throw new EbbError('INVALID_REQUEST', 'query parameter "name" is missing: it says whose log');
  if (tail !== '' && !WHOLE_NUMBER.test(tail)) {
    throw new EbbError('INVALID_REQUEST', `query parameter "tail" is ${shown(tail)} but must be a whole number`);
  }
  const sinceAt = Date.parse(since);
  if (since !== '' && (!RFC3339.test(since) || Number.isNaN(sinceAt))) {
    throw new EbbError(
      'INVALID_REQUEST',
      `query parameter "since" is ${shown(since)} but must be a moment such as "2026-11-22T10:00:00Z"`,
    );
  }
  const isOpen = since === '' && tail === '';
  return {
    ...parsePathName(name, namespace),
    selection: {
      follow: TRUE.test(follow),
      tail: Number(tail) > 0 ? Number(tail) : Number.POSITIVE_INFINITY,
      ...(isOpen ? { since: new Date(now - RECENT_MS).toISOString() } : {}),
      ...(since === '' ? {} : { since: new Date(sinceAt).toISOString() }),
      ...(instance === '' ? {} : { instance }),
      sources: ['stdout', 'stderr'],
    },
  };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
