import {
  type AsyncPolicy,
  type AttemptResource,
  DEFAULT_NAMESPACE,
  type Destination,
  OUTCOME_INLINE_BYTES,
  OUTCOME_MAX_HOPS,
  type Outcome,
  PRIORITIES,
  resolveAsync,
} from '@ebb/contract';
import type { NewItem, Origin, Payload, QueueRecord, Settlement } from '../store/queue.ts';

const DAY_MS = 86_400_000;
/** Outcomes in a queue wait for somebody to take them. */
const QUEUE_MAX_AGE_MS = 365 * DAY_MS;
/** Outcomes for addresses are given up after this many milliseconds. */
export const URL_MAX_AGE_MS = DAY_MS;
const LANE_MAX_CHARS = 200;
/** What callers of a function with no answer at all are told instead of its status. */
const NO_ANSWER_STATUS = 503;

/** Of a function's answer, what says how it was sent, sets cookies or could be taken for the platform's. */
const NOT_PASSED_ON =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|host|content-length|set-cookie2?|x-ebb-.*|x-call-id|x-start-time|x-duration-seconds|x-function-(?:status|name)|x-retry(?:-max)?)$/i;

/** How a call ended for good. */
export type Ending = Extract<Settlement['next'], { readonly kind: 'succeeded' | 'dead' }>;

/** What follow-ups are decided from. */
export interface FollowUpInput {
  /** The call as it was before it ended. */
  readonly record: QueueRecord;
  readonly ending: Ending;
  /** The attempt that ended it, where there was one. */
  readonly attempt?: AttemptResource | undefined;
  /** What the function says; absent where it is gone or nothing of the kind. */
  readonly policy?: AsyncPolicy | undefined;
  /** What other functions of the namespace say. */
  readonly policyOf?: ((name: string) => AsyncPolicy | undefined) | undefined;
  readonly now: number;
}

/** Where an outcome goes. */
export interface FollowUps {
  /** In order: what the function says first. Their ids follow from the call's alone, so that a repeated settle adds none. */
  readonly items: readonly NewItem[];
  /** Destinations that are left out, because the outcome itself came of too many others. */
  readonly dropped: readonly Destination[];
}

/**
 * Decides where the outcome of a call goes: to what its function names for success or failure, and to what the call
 * itself named. Only calls of functions have outcomes; a cancelled call has none.
 */
export function followUps(input: FollowUpInput): FollowUps {
  const { record, ending, policy } = input;
  if (record.target.kind !== 'function') return { items: [], dropped: [] };
  const [kind, mark, own] =
    ending.kind === 'succeeded'
      ? (['success', 's', policy?.onSuccess ?? []] as const)
      : (['failure', 'f', policy?.onFailure ?? []] as const);
  const callbacks = record.callbacks ?? [];
  // An id has one mark more than the one it comes from.
  if (record.id.split('.').length > OUTCOME_MAX_HOPS) return { items: [], dropped: [...own, ...callbacks] };
  return {
    items: [
      ...own.map((to, index) => itemFor(to, kind, `${record.id}.${mark}${index}`, input)),
      ...callbacks.map((to, index) => itemFor(to, 'callback', `${record.id}.c${index}`, input)),
    ],
    dropped: [],
  };
}

function itemFor(to: Destination, kind: Origin['kind'], id: string, input: FollowUpInput): NewItem {
  const { record, now } = input;
  const { namespace } = record;
  const made = {
    id,
    namespace,
    method: 'POST',
    path: '/',
    acceptedAt: now,
    runAt: now,
    priority: PRIORITIES.usual,
    origin: { kind, of: record.id },
  };
  if (to.url !== undefined) {
    // What is no address is refused when it is to be posted to, where everybody can see it.
    const { host, pathname, search } = URL.parse(to.url) ?? { host: '', pathname: '/', search: '' };
    return {
      ...made,
      lane: `${namespace}/url:${host}`.slice(0, LANE_MAX_CHARS),
      target: { kind: 'url', namespace, url: to.url },
      path: `${pathname}${search}`,
      headers: urlHeaders(kind, input),
      body: kind === 'callback' ? (input.ending.result?.body ?? { kind: 'none' }) : envelope(input),
      expiresAt: now + URL_MAX_AGE_MS,
    };
  }
  const headers = ['content-type', 'application/json'];
  if (to.queue !== undefined) {
    const target = { kind: 'queue', namespace, name: to.queue } as const;
    const lane = `${namespace}/queue:${to.queue}`;
    return { ...made, lane, target, headers, body: envelope(input), expiresAt: now + QUEUE_MAX_AGE_MS };
  }
  const [, name = '', qualifier = ''] = /^([^:@]*)(.*)$/.exec(to.function ?? '') ?? [];
  const { maxAgeMs } = input.policyOf?.(name) ?? resolveAsync();
  return {
    ...made,
    lane: `${namespace}/${name}`,
    target: { kind: 'function', namespace, name, qualifier },
    headers,
    body: envelope(input),
    expiresAt: now + maxAgeMs,
  };
}

/** The headers existing receivers of callbacks go by; a callback's body is the answer itself, with its headers. */
function urlHeaders(kind: Origin['kind'], { record, ending, attempt, policy }: FollowUpInput): string[] {
  const { result } = ending;
  const last = attempt ?? record.attempts.at(-1);
  const status = result?.status ?? last?.status ?? NO_ANSWER_STATUS;
  const durationMs = last === undefined ? 0 : Math.max(0, Date.parse(last.endedAt) - Date.parse(last.startedAt));
  return [
    ...(kind === 'callback' ? passedOn(result?.headers ?? []) : ['content-type', 'application/json']),
    'X-Call-Id',
    record.id,
    'X-Duration-Seconds',
    (durationMs / 1000).toFixed(6),
    'X-Function-Status',
    String(status),
    'X-Function-Name',
    functionName(record),
    'X-Retry',
    // Equal to the most there may be where it was the last try.
    String(record.failures + (ending.kind === 'dead' && ending.counts ? 1 : 0)),
    'X-Retry-Max',
    String((policy ?? resolveAsync()).attempts),
  ];
}

function envelope({ record, ending, attempt, now }: FollowUpInput): Payload {
  const { result } = ending;
  const attempts = attempt === undefined ? record.attempts : [...record.attempts, attempt];
  const last = attempts.at(-1);
  const base = `/v1/invocations/${record.id}`;
  const payload = describeBody(record.body, contentType(record.headers), `${base}/payload`);
  const answer = result && describeBody(result.body, contentType(result.headers), `${base}/result`);
  const outcome: Outcome = {
    id: record.id,
    namespace: record.namespace,
    function: qualifiedName(record),
    state: ending.kind,
    ...(ending.kind === 'dead' ? { reason: ending.reason, message: ending.message } : {}),
    acceptedAt: new Date(record.acceptedAt).toISOString(),
    endedAt: new Date(now).toISOString(),
    attempts: attempt?.number ?? record.begun,
    ...(last === undefined ? {} : { lastAttempt: last }),
    ...(result === undefined ? {} : { status: result.status, headers: headerRecord(passedOn(result.headers)) }),
    ...(payload === undefined ? {} : { payload }),
    ...(answer === undefined ? {} : { result: answer }),
    ...(record.origin === undefined ? {} : { origin: record.origin }),
  };
  return { kind: 'bytes', bytes: new TextEncoder().encode(JSON.stringify(outcome)) };
}

function describeBody(body: Payload, type: string | undefined, path: string): Outcome['payload'] {
  if (body.kind === 'none') return undefined;
  const described = { ...(type === undefined ? {} : { contentType: type }), path };
  if (body.kind === 'file') return { sizeBytes: body.sizeBytes, ...described };
  const { bytes } = body;
  const isInline = bytes.length <= OUTCOME_INLINE_BYTES;
  return { sizeBytes: bytes.length, ...described, ...(isInline ? { base64: toBase64(bytes) } : {}) };
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function passedOn(headers: readonly string[]): string[] {
  return headers.filter((_, index) => !NOT_PASSED_ON.test(headers[index - (index % 2)] ?? ''));
}

function headerRecord(headers: readonly string[]): Record<string, string> {
  const record = new Map<string, string>();
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase();
    const value = headers[index + 1] ?? '';
    const before = record.get(name);
    record.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries(record);
}

function contentType(headers: readonly string[]): string | undefined {
  const at = headers.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'content-type');
  return at === -1 ? undefined : headers[at + 1];
}

function functionName({ target, namespace }: QueueRecord): string {
  if (target.kind !== 'function') return '';
  return namespace === DEFAULT_NAMESPACE ? target.name : `${target.name}.${namespace}`;
}

function qualifiedName({ target }: QueueRecord): string {
  return target.kind === 'function' ? `${target.name}${target.qualifier}` : '';
}
