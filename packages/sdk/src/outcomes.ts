import type {
  DeadLetterQuery,
  DeadLetterSelection,
  InvocationPage,
  InvocationResource,
  LeasedItem,
  LeaseRequestInput,
  Purged,
  QueueResource,
  Redriven,
  RedriveSelection,
  Settled,
  SigningKeyResource,
} from '@ebb/contract';
import type { RequestOptions, Transport } from './transport.ts';

/** Lets a caller give up on a request. */
interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** Asynchronous calls that were given up. */
export function deadLettersOf({ json }: Transport) {
  return {
    /** One page, newest first; `next` is the cursor of the next one. */
    list: (query: DeadLetterQuery = {}, call: Abortable = {}) =>
      json<InvocationPage>('/v1/dead-letters', { ...call, query: query as RequestOptions['query'] & object }),
    /** One with every attempt. */
    get: (id: string, { signal, namespace }: Abortable & { readonly namespace?: string | undefined } = {}) =>
      json<InvocationResource>(`/v1/dead-letters/${encodeURIComponent(id)}`, { signal, query: { namespace } }),
    /** Queues them anew, with `to` for another function, at most 1000 at a time: go on with `cursor` while there is a `next`. */
    redrive: (selection: RedriveSelection, call: Abortable = {}) =>
      json<Redriven>('/v1/dead-letters/redrive', { ...call, ...post(selection) }),
    /** Removes them, at most 1000 at a time: go on with `cursor` while there is a `next`. */
    purge: (selection: DeadLetterSelection, call: Abortable = {}) =>
      json<Purged>('/v1/dead-letters/purge', { ...call, ...post(selection) }),
  };
}

/** Queues that outcomes were sent to. */
export function queuesOf({ json }: Transport) {
  const pathOf = (namespace: string, name: string, verb: string) =>
    `${namespacePath(namespace)}/queues/${encodeURIComponent(name)}/${verb}`;
  return {
    /** Those that hold something, by name. */
    list: (namespace: string, call: Abortable = {}) =>
      json<readonly QueueResource[]>(`${namespacePath(namespace)}/queues`, call),
    /** Takes items, oldest first; those that are not acknowledged in time come again. */
    lease: (namespace: string, name: string, request: LeaseRequestInput = {}, call: Abortable = {}) =>
      json<readonly LeasedItem[]>(pathOf(namespace, name, 'lease'), { ...call, ...post(request) }),
    /** Says that items are done with. */
    ack: (namespace: string, name: string, receipts: readonly string[], call: Abortable = {}) =>
      json<Settled>(pathOf(namespace, name, 'ack'), { ...call, ...post({ receipts }) }),
    /** Gives items back, to be taken again at once. */
    release: (namespace: string, name: string, receipts: readonly string[], call: Abortable = {}) =>
      json<Settled>(pathOf(namespace, name, 'release'), { ...call, ...post({ receipts }) }),
  };
}

/** The keys that namespaces sign their posts with. */
export function signingKeysOf({ json }: Transport) {
  const pathOf = (namespace: string) => `${namespacePath(namespace)}/signing-key`;
  return {
    /** Made at its first use. */
    get: (namespace: string, call: Abortable = {}) => json<SigningKeyResource>(pathOf(namespace), call),
    /** Makes a new one; for a day everything is signed with the old one as well. */
    rotate: (namespace: string, call: Abortable = {}) =>
      json<SigningKeyResource>(`${pathOf(namespace)}/rotate`, { ...call, method: 'POST' }),
  };
}

function namespacePath(namespace: string): string {
  return `/v1/namespaces/${encodeURIComponent(namespace)}`;
}

function post(body: unknown) {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
