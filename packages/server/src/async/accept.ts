import { createHash } from 'node:crypto';
import { type AsyncPolicy, PRIORITIES, resolveAsync } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import type {
  AcceptedCall,
  Acceptor,
  CallBody,
  FunctionRegistry,
  GivenBody,
  GivenCall,
  Version,
} from '../core/ports.ts';
import type { Enqueued, NewItem, Origin, Payload, Queue, Target } from '../store/queue.ts';
import { type PayloadFiles, tooLarge } from './payload-files.ts';
import { versionMeant } from './version-meant.ts';

/** A second call with the same idempotency key is the first one's for so long after that was due. */
export const IDEMPOTENCY_MS = 86_400_000;
/** When a namespace has as many calls as it may, another try makes sense after this. */
const FULL_RETRY_SECONDS = 5;
/** Items of a batch that are committed together, so that others need not wait for all of it. */
const BATCH_ITEMS = 1_000;
/** Bodies of one batch that are written to files at once. */
const FILES_AT_ONCE = 16;

/** What calls are accepted with. */
export interface AcceptOptions {
  readonly registry: Pick<FunctionRegistry, 'resolve' | 'version' | 'hasNamespace'>;
  readonly queue: Pick<Queue, 'enqueue' | 'get'>;
  readonly files: Pick<PayloadFiles, 'keep' | 'open' | 'maxBytes'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Most calls of one namespace that wait or run. */
  readonly maxQueued: number;
  /** Throws DESTINATION_REFUSED for an address that outcomes must not be posted to. */
  readonly checkCallback?: ((url: string) => void) | undefined;
  /** Told what became of each call, and what it is for where that is known; must not throw. */
  readonly onOutcome?: ((outcome: AcceptOutcome, target?: Target) => void) | undefined;
}

/** What became of a call that somebody wanted accepted. */
export type AcceptOutcome = 'accepted' | 'duplicate' | 'refused';

/** A call whose payload is kept, for accepting it again. */
export interface KeptCall extends Omit<GivenCall, 'body'> {
  readonly payload: Payload;
  readonly origin?: Origin | undefined;
  /** Where it is for something else than a function. */
  readonly other?: { readonly target: Target; readonly lane: string } | undefined;
}

/** Accepts calls, also those whose payload is there already. */
export interface Acceptance extends Acceptor {
  enqueueKept(call: KeptCall): Promise<AcceptedCall>;
}

/** The lane of a function's calls. */
export function functionLane(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/**
 * Makes what accepts calls: each is resolved and checked, its body kept, and the record queued; a call is accepted when
 * that is on disk (A1), and not before.
 */
export function createAcceptance(options: AcceptOptions): Acceptance {
  const { registry, queue, files, clock, maxQueued, checkCallback, onOutcome } = options;
  const limits = { perNamespace: maxQueued };
  const policies = new WeakMap<Version, AsyncPolicy>();
  /** Ids that callers chose and whose calls are being queued: of two at once with the same one, one gets it. */
  const claimed = new Set<string>();
  const usual = resolveAsync();

  const policyOf = (version: Version): AsyncPolicy => {
    const known = policies.get(version);
    if (known) return known;
    const policy = version.spec.async === undefined ? usual : resolveAsync(version.spec.async);
    policies.set(version, policy);
    return policy;
  };
  const policyFor = (call: Omit<KeptCall, 'payload'>): AsyncPolicy | Promise<AsyncPolicy> => {
    for (const { url } of call.callbacks ?? []) if (url !== undefined) checkCallback?.(url);
    if (call.other) return usual;
    const version = versionMeant(registry, call);
    return version instanceof Promise ? version.then(policyOf) : policyOf(version);
  };
  const itemOf = (call: KeptCall, policy: AsyncPolicy): NewItem => makeItem(call, policy, clock.now());
  const keep = (body: GivenBody): Payload | Promise<Payload> => {
    switch (body.kind) {
      case 'none':
        return body;
      case 'bytes':
        return files.keep(body.bytes);
      case 'stream':
        if (body.sizeBytes > files.maxBytes) throw tooLarge(files.maxBytes);
        return files.keep(body.open());
      case 'chunks':
        // Refused before it has come, where that is possible.
        if ((body.sizeBytes ?? 0) > files.maxBytes) throw tooLarge(files.maxBytes);
        return files.keep(body.chunks);
    }
  };
  /** The call is refused before its body is read, where it can be. */
  const prepare = async (call: GivenCall): Promise<NewItem> => {
    const { body, ...rest } = call;
    const policy = await policyFor(rest);
    return itemOf({ ...rest, payload: await keep(body) }, policy);
  };
  /**
   * Whether the namespace of an item is gone or going, asked in one stretch with the enqueue: a removal that begins later
   * counts the item, so that nothing is ever queued for a namespace that is not there (T3).
   */
  const goneFor = ({ namespace }: NewItem): EbbError | undefined =>
    registry.hasNamespace(namespace)
      ? undefined
      : new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${namespace}", or it is being removed`);
  const accept = async (made: Promise<NewItem> | NewItem, wantedId?: string): Promise<AcceptedCall> => {
    const claim = wantedId === undefined || claimed.has(wantedId) ? undefined : wantedId;
    if (claim !== undefined) claimed.add(claim);
    try {
      let item = await made;
      // An id that is taken would be accepted again and change nothing, so the call has one of its own then.
      if (claim !== undefined && (await queue.get(claim)) === undefined) item = { ...item, id: claim };
      const gone = goneFor(item);
      if (gone) throw gone;
      const [enqueued] = await queue.enqueue([item], limits);
      const accepted = acceptedOf(enqueued, maxQueued);
      onOutcome?.(accepted.duplicate ? 'duplicate' : 'accepted', item.target);
      return accepted;
    } catch (error) {
      onOutcome?.('refused');
      throw error;
    } finally {
      if (claim !== undefined) claimed.delete(claim);
    }
  };

  return {
    enqueue: (call) => accept(prepare(call), call.wantedId),
    async receive(call) {
      try {
        const { body, ...rest } = call;
        const policy = await policyFor(rest);
        const payload = await keep(body);
        return {
          body: bodyOf(payload, files),
          queue: () => accept(itemOf({ ...rest, payload }, policy), rest.wantedId),
        };
      } catch (error) {
        onOutcome?.('refused');
        throw error;
      }
    },
    enqueueKept: (call) => accept((async () => itemOf(call, await policyFor(call)))()),
    async enqueueAll(calls) {
      const outcomes: (AcceptedCall | EbbError)[] = [];
      for (let from = 0; from < calls.length; from += BATCH_ITEMS) {
        const batch = calls.slice(from, from + BATCH_ITEMS);
        const made = await mapSome(batch, (call) => prepare(call).catch(asEbbError));
        const items = made.flatMap((one) => (one instanceof EbbError ? [] : [one]));
        const failed = await enqueueItems(items);
        for (const one of made) {
          const outcome = one instanceof EbbError ? one : (failed.get(one.id) ?? asEbbError(new Error('no outcome')));
          outcomes.push(outcome);
          const isRefused = outcome instanceof EbbError;
          const target = one instanceof EbbError ? undefined : one.target;
          onOutcome?.(isRefused ? 'refused' : outcome.duplicate ? 'duplicate' : 'accepted', target);
        }
      }
      return outcomes;
    },
  };

  /** What became of each item, by its id. */
  async function enqueueItems(given: readonly NewItem[]): Promise<Map<string, AcceptedCall | EbbError>> {
    const outcomes = new Map<string, AcceptedCall | EbbError>();
    const items = given.filter((item) => {
      const gone = goneFor(item);
      if (gone) outcomes.set(item.id, gone);
      return gone === undefined;
    });
    if (items.length === 0) return outcomes;
    try {
      const enqueued = await queue.enqueue(items, limits);
      for (const [index, item] of items.entries()) outcomes.set(item.id, outcomeOf(enqueued[index], maxQueued));
    } catch (error) {
      // Those before it are accepted, whatever is wrong now.
      for (const item of items) outcomes.set(item.id, asEbbError(error));
    }
    return outcomes;
  }
}

function makeItem(call: KeptCall, policy: AsyncPolicy, now: number): NewItem {
  const { namespace, name, qualifier, key, idempotencyKey, other, payload } = call;
  const runAt = Math.max(now, call.runAt ?? now + (call.delayMs ?? 0));
  return {
    id: call.callId ?? newCallId(),
    namespace,
    lane: other?.lane ?? functionLane(namespace, name),
    target: other?.target ?? { kind: 'function', namespace, name, qualifier },
    method: call.method,
    path: call.path,
    headers: call.headers,
    body: payload,
    acceptedAt: now,
    runAt,
    // A call that is to begin later is as old as if it had been accepted then.
    expiresAt: runAt + (call.maxAgeMs ?? policy.maxAgeMs),
    priority: call.priority ?? PRIORITIES.usual,
    rules:
      key === undefined
        ? undefined
        : {
            key,
            order: policy.order,
            concurrency: policy.keyConcurrency,
            throttleMs: policy.throttleMs,
            debounceMs: policy.debounceMs,
          },
    idempotency:
      idempotencyKey === undefined
        ? undefined
        : { key: idempotencyKey, digest: digestOf(call), untilAt: runAt + IDEMPOTENCY_MS },
    origin: call.origin,
    callbacks: call.callbacks,
  };
}

function bodyOf(payload: Payload, files: Pick<PayloadFiles, 'open'>): CallBody {
  if (payload.kind !== 'file') return payload;
  const { digest, sizeBytes } = payload;
  return { kind: 'stream', sizeBytes, open: () => files.open(digest) };
}

/** What makes two submits the same: where they go, and with what. Other headers differ from one try to the next. */
function digestOf({ qualifier, method, path, headers, payload }: KeptCall): string {
  const hash = createHash('sha256');
  for (const part of [qualifier, method, path, contentTypeOf(headers) ?? '']) hash.update(`${part.length}:${part}`);
  if (payload.kind === 'bytes') hash.update(createHash('sha256').update(payload.bytes).digest());
  if (payload.kind === 'file') hash.update(Buffer.from(payload.digest.replace(/^\w+:/, ''), 'hex'));
  return hash.digest('hex');
}

/** The value of `Content-Type` among names and values that alternate. */
export function contentTypeOf(headers: readonly string[]): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.length === 12 && headers[i]?.toLowerCase() === 'content-type') return headers[i + 1];
  }
  return undefined;
}

function acceptedOf(enqueued: Enqueued | undefined, maxQueued: number): AcceptedCall {
  const outcome = outcomeOf(enqueued, maxQueued);
  if (outcome instanceof EbbError) throw outcome;
  return outcome;
}

function outcomeOf(enqueued: Enqueued | undefined, maxQueued: number): AcceptedCall | EbbError {
  switch (enqueued?.kind) {
    case 'accepted':
      return { id: enqueued.id, duplicate: false };
    case 'duplicate':
      return { id: enqueued.id, duplicate: true };
    case 'mismatch':
      return new EbbError(
        'IDEMPOTENCY_MISMATCH',
        `the idempotency key was used for another call before (${enqueued.id}); take a new key for a new call`,
      );
    case 'full':
      return new EbbError(
        'ASYNC_QUEUE_FULL',
        `${maxQueued} asynchronous calls of the namespace wait or run, which is as many as asyncMaxQueued allows`,
        { retryAfterSeconds: FULL_RETRY_SECONDS },
      );
    default:
      throw new Error('the queue said nothing of an item');
  }
}

/** Maps with a bounded number under way, keeping the order. */
async function mapSome<T, R>(from: readonly T[], map: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < from.length; at += FILES_AT_ONCE) {
    results.push(...(await Promise.all(from.slice(at, at + FILES_AT_ONCE).map(map))));
  }
  return results;
}
