import { EbbError } from '../core/errors.ts';
import type { Version } from '../core/ports.ts';
import type { InvocationEvent, ShadowOutcome } from '../telemetry/invocation-event.ts';
import { AnswerDigest } from './answer-digest.ts';
import { Exchange } from './exchange.ts';
import type { GatewayContext, HeldSlot, Mirror, MirroredCall, Mirrors, SlotSource } from './gateway-context.ts';
import { MirrorCaller } from './mirror-caller.ts';
import { OPEN_GATE } from './rate-gates.ts';
import { compareAnswers, type SeenAnswer } from './traffic/compare-answers.ts';

/** Largest body of a request that is copied. */
const MAX_BODY_BYTES = 65_536;
/** Copies under way at once, in one gateway; more are dropped. */
const MAX_RUNNING = 100;
/** Of these, the most that may wait for a slot, and for how long. */
const MAX_WAITING = 8;
const WAIT_MS = 5_000;
/** Errors that mean that a copy was not sent after all, besides those that say there are too many. */
const DROPPED: ReadonlySet<string> = new Set(['NO_INSTANCE_IN_TIME', 'DRAINING']);
const TOO_MANY_STATUS = 429;

type Context = Omit<GatewayContext, 'mirrors' | 'opened' | 'closed'>;

/** Makes what sends copies of calls, bounded in number, size and time, so that calls themselves do not notice. */
export function createMirrors(context: Context): Mirrors {
  const slots = new SpareSlots(context);
  const running = new Set<MirrorCaller>();
  const mirrors: Mirrors = {
    open: (call) => new CallMirror(call, { context, slots, running, mirrors }),
    close() {
      for (const copy of running) copy.leave();
    },
  };
  return mirrors;
}

interface Lane {
  readonly context: Context;
  readonly slots: SlotSource;
  /** The callers of copies under way. */
  readonly running: Set<MirrorCaller>;
  readonly mirrors: Mirrors;
}

/** Slots for copies: few wait for one, and not for long. */
class SpareSlots implements SlotSource {
  readonly #context: Context;
  #waiting = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  tryAcquire(version: Version): HeldSlot | undefined {
    return this.#context.pools.tryAcquire(version);
  }

  async acquire(version: Version, signal: AbortSignal): Promise<HeldSlot> {
    if (this.#waiting >= MAX_WAITING) throw new EbbError('QUEUE_FULL', 'enough copies of calls wait already');
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new EbbError('NO_INSTANCE_IN_TIME', 'the copy of a call waited long enough')),
      WAIT_MS,
    ).unref();
    this.#waiting += 1;
    try {
      return await this.#context.pools.acquire(version, AbortSignal.any([signal, late.signal]));
    } finally {
      this.#waiting -= 1;
      clearTimeout(timer);
    }
  }

  isCold(version: Version): boolean {
    return this.#context.pools.isCold(version);
  }
}

/** Copies one call and compares the answers. */
class CallMirror implements Mirror {
  readonly #call: MirroredCall;
  readonly #lane: Lane;
  readonly #digest = new AnswerDigest();
  #state: 'new' | 'sent' | 'dropped' = 'new';
  #pieces: Buffer[] = [];
  #bytes = 0;
  #primary: (SeenAnswer & { readonly durationMs: number }) | undefined;
  #shadow: { readonly event: InvocationEvent; readonly answer: SeenAnswer; readonly isDropped: boolean } | undefined;

  constructor(call: MirroredCall, lane: Lane) {
    this.#call = { ...call, caller: copyOf(call.caller) };
    this.#lane = lane;
  }

  sent(): void {
    const { body } = this.#call.caller;
    if (this.#state === 'new' && typeof body !== 'object') this.#copy(body);
  }

  data(chunk: Buffer): void {
    if (this.#state !== 'new') return;
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_BODY_BYTES) this.#drop();
    // Whoever sends the call gives the memory back.
    else this.#pieces.push(Buffer.from(chunk));
  }

  end(): void {
    if (this.#state === 'new') this.#copy(Buffer.concat(this.#pieces).toString('latin1'));
    this.#pieces = [];
  }

  saw(part: Buffer | string): void {
    this.#digest.add(part);
  }

  ended(status: number, isWhole: boolean, durationMs: number): void {
    this.#primary = { status, digest: this.#digest.value, isWhole, durationMs };
    if (this.#state === 'new') this.#drop();
    else this.#compare();
  }

  #copy(body: string | undefined): void {
    const { route, shadow, caller } = this.#call;
    // Who was let in by one version need not be by the other.
    const isAllowed = route.authRequired || !shadow.authRequired;
    const isSmall = body === undefined || body.length <= MAX_BODY_BYTES;
    const { context, slots, mirrors, running } = this.#lane;
    if (!isAllowed || !isSmall || running.size >= MAX_RUNNING) return this.#drop();
    this.#state = 'sent';
    const { pieces, callIds, timeouts, startTimes, deadlines, logger } = context;
    const copy = new MirrorCaller({ ...caller, body }, this.#call.callId);
    const own: GatewayContext = {
      pools: slots,
      pieces,
      callIds,
      timeouts,
      startTimes,
      deadlines,
      logger,
      mirrors,
      expected: (error, callId) => context.expected(error, callId),
      // The event comes before the last of the answer.
      record: (event) => queueMicrotask(() => this.#answered(event, copy)),
      // Nobody waits for a copy when the server drains.
      opened: () => {},
      closed: () => {},
    };
    running.add(copy);
    // The rate of the namespace is for calls, of which this is none.
    const unpaced = { ...shadow, rate: OPEN_GATE };
    // After whatever the call itself still has to do in this turn.
    setImmediate(() => new Exchange(own, copy, unpaced, this.#call.path).start());
  }

  #answered(event: InvocationEvent, copy: MirrorCaller): void {
    this.#lane.running.delete(copy);
    const answer = { status: event.status, digest: copy.digest, isWhole: event.errorCode === undefined };
    const { status, errorCode = '' } = event;
    const isRefused = event.instance === undefined && (status === TOO_MANY_STATUS || DROPPED.has(errorCode));
    this.#shadow = { event, answer, isDropped: isRefused || copy.isGone };
    this.#compare();
  }

  #compare(): void {
    if (!this.#primary || !this.#shadow) return;
    const { event, answer, isDropped } = this.#shadow;
    this.#report(event, isDropped ? 'dropped' : compareAnswers(this.#primary, answer));
  }

  #drop(): void {
    const isTold = this.#state === 'dropped';
    this.#state = 'dropped';
    this.#pieces = [];
    if (isTold) return;
    const { callId, shadow, caller } = this.#call;
    const { version, label } = shadow;
    const event: InvocationEvent = {
      callId,
      namespace: version.namespace,
      name: version.name,
      label,
      version: version.version,
      method: caller.method,
      status: 0,
      startedAt: Date.now(),
      durationMs: 0,
      cold: false,
      phases: { queueMs: 0 },
    };
    this.#report(event, 'dropped');
  }

  #report(event: InvocationEvent, outcome: ShadowOutcome): void {
    const { status = 0, durationMs = 0 } = this.#primary ?? {};
    const shadow = { of: this.#call.callId, outcome, primaryStatus: status, primaryMs: durationMs };
    this.#lane.context.record({ ...event, shadow });
  }
}

/** What of a caller is copied: its connection may serve another request by then. */
function copyOf({ method, rawHeaders, remoteAddress, stripAuthorization, body }: MirroredCall['caller']) {
  return { method, rawHeaders, remoteAddress, stripAuthorization, body };
}
