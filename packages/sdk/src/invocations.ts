import {
  type CapturedRequest,
  type FunctionName,
  type InvocationListQuery,
  type InvocationPage,
  type InvocationResource,
  INVOCATION_STATES,
  type LogLine,
  type LogQuery,
  type ReplayRequest,
  type SubmitCallInput,
  type Submitted,
  type SubmittedBatch,
} from '@ebb/contract';
import { invokeAsync, type InvokeAsyncRequest } from './invoke.ts';
import { readJsonLines } from './read-lines.ts';
import type { Transport } from './transport.ts';

/** Lets a caller give up on a request, and says of which namespace a call must be. */
export interface InvocationCallOptions {
  readonly namespace?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A body that was kept, still streaming. */
export interface KeptAnswer {
  /** What the function answered with; absent for payloads. */
  readonly status: number | undefined;
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly body: Response;
}

/** States that do not change any more. */
const ENDED: readonly string[] = INVOCATION_STATES.slice(2);
/** One request waits so long at most; servers and proxies on the way may not keep a silent one for longer. */
const WAIT_SECONDS = 30;

/** Asynchronous calls of a server. */
export function invocationsOf(transport: Transport) {
  const { json, request } = transport;
  const get = (id: string, { namespace, signal }: InvocationCallOptions = {}) =>
    json<InvocationResource>(pathOf(id), { query: { namespace }, signal });
  return {
    /** Accepts a call to be made later; it is on disk when the promise resolves. */
    submit: (call: SubmitCallInput, options: InvocationCallOptions = {}) =>
      json<Submitted>('/v1/invocations', post(call, options)),
    /** Accepts many, each by itself: up to 10,000. */
    submitAll: (calls: readonly SubmitCallInput[], options: InvocationCallOptions = {}) =>
      json<SubmittedBatch>('/v1/invocations', post({ calls }, options)),
    /** Hands a call in as it would be made, with a body of any size that may be streamed. */
    send: (ref: FunctionName, call: InvokeAsyncRequest = {}): Promise<Submitted> => invokeAsync(transport, ref, call),
    get,
    /** The call once it has ended, or as it stands after `limitMs`. */
    async wait(
      id: string,
      { limitMs, namespace, signal }: InvocationCallOptions & { readonly limitMs: number },
    ): Promise<InvocationResource> {
      const untilMs = Date.now() + limitMs;
      for (;;) {
        const leftMs = Math.max(0, untilMs - Date.now());
        const askedMs = Date.now();
        const wait = `${Math.min(leftMs, WAIT_SECONDS * 1000)}ms`;
        const found = await json<InvocationResource>(pathOf(id), { query: { namespace, wait }, signal });
        if (ENDED.includes(found.state) || Date.now() >= untilMs) return found;
        // A server that is about to be replaced answers at once.
        if (Date.now() - askedMs < 100) await pause(100, signal);
      }
    },
    /** One page, newest first; `next` is the cursor of the next one. */
    list: (query: InvocationListQuery = {}, options: Pick<InvocationCallOptions, 'signal'> = {}) =>
      json<InvocationPage>('/v1/invocations', { query: query as Record<string, string>, signal: options.signal }),
    /** The answer that was kept, with the status the function gave it. */
    result: async (id: string, options: InvocationCallOptions = {}) =>
      kept(await request(`${pathOf(id)}/result`, queryOf(options))),
    /** How the call was sent, without credentials. */
    request: (id: string, options: InvocationCallOptions = {}) =>
      json<CapturedRequest>(`${pathOf(id)}/request`, queryOf(options)),
    /** What the call was submitted with. */
    payload: async (id: string, options: InvocationCallOptions = {}) =>
      kept(await request(`${pathOf(id)}/payload`, queryOf(options))),
    /** Lines of the function's log that were written during the call. */
    async *logs(
      id: string,
      query: Partial<Omit<LogQuery, 'callId'>> = {},
      options: InvocationCallOptions = {},
    ): AsyncGenerator<LogLine, void, undefined> {
      const { namespace, signal } = options;
      yield* readJsonLines<LogLine>(await request(`${pathOf(id)}/logs`, { query: { ...query, namespace }, signal }));
    },
    /** Ends a call: one that is queued at once, one that runs by aborting its request. */
    cancel: (id: string, options: InvocationCallOptions = {}) =>
      json<InvocationResource>(`${pathOf(id)}/cancel`, { method: 'POST', ...queryOf(options) }),
    /** Makes a call anew with its payload, whatever became of it. */
    replay: (id: string, body: ReplayRequest = {}, options: InvocationCallOptions = {}) =>
      json<Submitted>(`${pathOf(id)}/replay`, post(body, options)),
  };
}

function pathOf(id: string): string {
  return `/v1/invocations/${encodeURIComponent(id)}`;
}

function queryOf({ namespace, signal }: InvocationCallOptions) {
  return { query: { namespace }, signal };
}

function post(body: unknown, options: InvocationCallOptions) {
  return {
    ...queryOf(options),
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}

function kept(body: Response): KeptAnswer {
  const status = body.headers.get('x-ebb-function-status');
  return {
    status: status === null ? undefined : Number(status),
    contentType: body.headers.get('content-type') ?? 'application/octet-stream',
    sizeBytes: Number(body.headers.get('content-length') ?? 0),
    body,
  };
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise((resolve) => setTimeout(resolve, ms));
  signal?.throwIfAborted();
}
