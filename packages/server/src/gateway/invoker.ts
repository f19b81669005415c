import { EbbError } from '../core/errors.ts';
import type { AnswerSink, CallOutcome, Invoker, PlatformCall } from '../core/ports.ts';
import type { InvocationEvent } from '../telemetry/invocation-event.ts';
import { Exchange } from './exchange.ts';
import type { Choice } from './fork.ts';
import type { GatewayContext, SlotSource } from './gateway-context.ts';
import { type Answered, PlatformCaller } from './platform-caller.ts';
import type { RouteTable } from './route-table.ts';

/** What may stand in a method and in a header's name (RFC 9110 section 5.6.2). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What may stand in a header's value; what is beyond a byte would be written as another character. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** After a refusal without `Retry-After`, as callers from outside are told. */
const RETRY_AFTER_MS = 1_000;

/** What an {@link Invoker} is made with. */
export interface InvokerOptions {
  readonly context: GatewayContext;
  readonly routes: Pick<RouteTable, 'find' | 'lookUp'>;
  /** Why no call may begin now, if that is so. */
  readonly refusal: () => EbbError | undefined;
}

/** An {@link Invoker} that can be told that its server stops. */
export interface PlatformInvoker extends Invoker {
  /** Ends the calls that wait for an instance, with DRAINING; those that have one go on. */
  letGo(): void;
}

/**
 * Makes calls of the platform on the path of those from outside: the same routes, limits, rates and exchanges. They wait
 * behind those whose answer somebody waits for.
 */
export function createInvoker({ context, routes, refusal }: InvokerOptions): PlatformInvoker {
  const waiting = new Set<AbortController>();
  const slots: SlotSource = {
    tryAcquire: (version) => context.pools.tryAcquire(version),
    async acquire(version, signal) {
      const wait = new AbortController();
      const leave = () => wait.abort(signal.reason);
      signal.addEventListener('abort', leave, { once: true });
      waiting.add(wait);
      try {
        return await context.pools.acquire(version, wait.signal, 'later');
      } finally {
        waiting.delete(wait);
        signal.removeEventListener('abort', leave);
      }
    },
    isCold: (version) => context.pools.isCold(version),
  };

  async function choose(call: PlatformCall): Promise<Choice> {
    const refused = refusal() ?? malformed(call);
    if (refused) throw refused;
    const segment = `${call.name}.${call.namespace}`;
    const found = routes.find(segment + call.qualifier);
    if (found.kind === 'missing') throw new EbbError(found.code, found.message);
    if (found.kind === 'unlisted') return { route: await routes.lookUp(found) };
    if (found.kind === 'route') return { route: found };
    // By the call's id all its attempts stay on one side, and calls are spread over the sides.
    return found.choose({ rawHeaders: call.headers, remoteAddress: call.callId }, `/function/${segment}`);
  }

  return {
    async invoke(call, sink, signal) {
      const startedAt = Date.now();
      try {
        const choice = await choose(call);
        return await exchange({ context, slots, call, choice, sink, signal, startedAt });
      } catch (error) {
        const failed: Answered = { kind: 'failed', error: context.expected(error, call.callId) };
        return outcomeOf(failed, undefined, startedAt);
      }
    },
    letGo() {
      const reason = new EbbError('DRAINING', 'the server is shutting down before an instance was free');
      for (const wait of waiting) wait.abort(reason);
    },
  };
}

interface Exchanged {
  readonly context: GatewayContext;
  readonly slots: SlotSource;
  readonly call: PlatformCall;
  readonly choice: Choice;
  readonly sink: AnswerSink;
  readonly signal: AbortSignal | undefined;
  readonly startedAt: number;
}

async function exchange({ context, slots, call, choice, sink, signal, startedAt }: Exchanged): Promise<CallOutcome> {
  const { pieces, startTimes, deadlines, logger, mirrors } = context;
  // While a version was looked up.
  if (signal?.aborted) return { kind: 'aborted', startedAt, endedAt: Date.now() };
  const caller = new PlatformCaller(call, sink);
  let event: InvocationEvent | undefined;
  const own: GatewayContext = {
    pools: slots,
    pieces,
    startTimes,
    deadlines,
    logger,
    mirrors,
    expected: (error, callId) => context.expected(error, callId),
    record: (told) => {
      event = told;
      context.record(told);
    },
    opened: () => context.opened('platform'),
    closed: () => context.closed(),
  };
  const leave = () => caller.leave();
  signal?.addEventListener('abort', leave, { once: true });
  try {
    new Exchange(own, caller, choice.route, call.path, choice).start();
    return outcomeOf(await caller.ended, event, startedAt);
  } finally {
    signal?.removeEventListener('abort', leave);
  }
}

function outcomeOf(answered: Answered, event: InvocationEvent | undefined, startedAt: number): CallOutcome {
  const served = event?.instance === undefined ? {} : { version: event.version, instance: event.instance };
  const times = { startedAt, endedAt: Date.now(), ...served };
  if (answered.kind !== 'failed') return { ...times, ...answered };
  const { error } = answered;
  const isPassing = error.status === 429 || error.status === 503;
  const retryAfterMs =
    error.retryAfterSeconds === undefined ? (isPassing ? RETRY_AFTER_MS : undefined) : error.retryAfterSeconds * 1000;
  return { ...times, kind: 'failed', error, retryAfterMs };
}

/** What of a call cannot be sent: it would be read as something else than what was meant. */
function malformed({ method, headers }: PlatformCall): EbbError | undefined {
  if (!TOKEN.test(method)) return new EbbError('BAD_REQUEST', `"${method}" is no method that HTTP allows`);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (TOKEN.test(name) && VALUE.test(headers[i + 1] ?? '')) continue;
    return new EbbError('BAD_REQUEST', `the header "${name}" has characters that HTTP does not allow`);
  }
  return undefined;
}
