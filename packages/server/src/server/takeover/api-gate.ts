import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { EbbError } from '../../core/errors.ts';

/** Answers a request; `body` stands for one that was read from it already. */
export type Handle = (request: IncomingMessage, response: ServerResponse, body?: Readable) => void;

/** Methods that change nothing. */
const READS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Changes that are quick and cannot wait: they undo another. */
const UNDOES = /^\/v1\/namespaces\/[^/?]+\/functions\/[^/?]+\/(?:rollback|rollout\/abort)(?:\?|$)/;

/** Not over before a job is, but accepted once its head is sent, as with a log that is followed. */
const STREAMS = /^\/v1\/namespaces\/[^/?]+\/job-streams(?:\?|$)/;

/** How often it is looked whether changes and reads are done. */
const LOOK_EVERY_MS = 5;
/** Longest time for changes under way, such as a deploy that pulls an image. */
const CHANGES_MS = 60_000;
/** A request of whose body nothing has come for this long is not waited for. */
const STALLED_MS = 2_000;

/** What stands before the control API, so that the store can be given away without failing a change. */
export interface ApiGate {
  readonly handle: Handle;
  /**
   * For a change that does not come as a request of Node's server: counts it until what is returned is called. Undefined
   * while changes have to wait, or are another server's.
   */
  enter(): (() => void) | undefined;
  /** The same for one that can wait: says, once that is known, whether it may be made here, or who is to make it. */
  pass(): Promise<Passed>;
  /** Whether another server answers. */
  readonly isTurnedOver: boolean;
  /**
   * Keeps new changes waiting, and reads too once no change is under way; resolves when every read has got what it is
   * answered with. Until then rollbacks are let in. A request that has stopped sending its body is cut. Throws
   * TAKEOVER_FAILED when a change takes longer than a minute, or the signal's reason; then the gate is as before.
   */
  hold(signal: AbortSignal): Promise<void>;
  /** Lets those who wait, and all who come, to the API again. */
  open(): void;
  /** Has `handle` answer those who wait and all who come. */
  turnOver(handle: Handle): void;
}

/** Where a change is to be made. */
export type Passed =
  /** Here; `leave` says that it is done. */
  { readonly kind: 'here'; readonly leave: () => void } | { readonly kind: 'elsewhere'; readonly handle: Handle };

/** A change under way. */
interface Change {
  readonly request: IncomingMessage;
  /** How much its connection had brought when it was last looked at, and since when that is so. */
  bytes: number;
  sinceMs: number;
}

/** Makes the gate; it is open. `changesMs` and `stalledMs` are the longest waits, by default 60 s and 2 s. */
export function createApiGate(
  own: Handle,
  { changesMs = CHANGES_MS, stalledMs = STALLED_MS }: { readonly changesMs?: number; readonly stalledMs?: number } = {},
): ApiGate {
  let answer: Handle | undefined;
  const changes = new Map<ServerResponse, Change>();
  const reads = new Map<ServerResponse, IncomingMessage>();
  let entered = 0;
  let turnedTo: Handle | undefined;
  let passing: ((passed: Passed) => void)[] = [];
  const waiting: { readonly request: IncomingMessage; readonly response: ServerResponse }[] = [];

  const counted = (request: IncomingMessage, response: ServerResponse) => {
    const isRead = READS.has(request.method ?? '') || STREAMS.test(request.url ?? '');
    if (isRead) reads.set(response, request);
    else changes.set(response, { request, bytes: request.socket.bytesRead, sinceMs: performance.now() });
    response.once('close', () => (isRead ? reads : changes).delete(response));
    own(request, response);
  };
  const wait = (request: IncomingMessage, response: ServerResponse) => void waiting.push({ request, response });
  const here = (): Passed => {
    entered += 1;
    return { kind: 'here', leave: () => void (entered -= 1) };
  };
  const use = (next: Handle) => {
    answer = next;
    turnedTo = next === counted ? undefined : next;
    const passed = passing;
    passing = [];
    for (const resolve of passed) resolve(turnedTo ? { kind: 'elsewhere', handle: turnedTo } : here());
    for (const { request, response } of waiting.splice(0)) {
      if (!response.destroyed) next(request, response);
    }
  };
  /** Waits until nothing is left of what `pending` finds. */
  const over = async (pending: () => readonly IncomingMessage[], untilMs: number, signal: AbortSignal) => {
    for (;;) {
      signal.throwIfAborted();
      const [first] = pending();
      if (!first) return;
      if (performance.now() >= untilMs) {
        throw new EbbError(
          'TAKEOVER_FAILED',
          `${first.method} ${first.url} still runs after ${changesMs / 1000} s; try again when it has ended`,
        );
      }
      await sleep(LOOK_EVERY_MS);
    }
  };
  use(counted);
  return {
    handle: (request, response) => (answer ?? wait)(request, response),
    enter() {
      if (answer !== counted) return undefined;
      const passed = here();
      return passed.kind === 'here' ? passed.leave : undefined;
    },
    pass() {
      if (answer === counted) return Promise.resolve(here());
      if (turnedTo && answer === turnedTo) return Promise.resolve({ kind: 'elsewhere', handle: turnedTo });
      return new Promise((resolve) => passing.push(resolve));
    },
    get isTurnedOver() {
      return turnedTo !== undefined && answer === turnedTo;
    },
    async hold(signal) {
      const before = answer ?? counted;
      const untilMs = performance.now() + changesMs;
      answer = (request, response) => (isLetIn(request) ? before : wait)(request, response);
      try {
        await over(() => running(changes.values(), stalledMs), untilMs, signal);
        answer = undefined;
        // These are quick: nothing of them is still to come.
        while (entered > 0 && performance.now() < untilMs) await sleep(LOOK_EVERY_MS);
        // A log that is followed has its head long before its end, and needs nothing more.
        await over(() => [...reads].flatMap(([{ headersSent }, read]) => (headersSent ? [] : [read])), untilMs, signal);
      } catch (error) {
        use(before);
        throw error;
      }
    },
    open: () => use(counted),
    turnOver: use,
  };
}

function isLetIn({ method = '', url = '' }: IncomingMessage): boolean {
  return READS.has(method) || (method === 'POST' && UNDOES.test(url));
}

/** The requests of those changes that go on; cuts those that have stopped sending. */
function running(changes: Iterable<Change>, stalledMs: number): IncomingMessage[] {
  const requests: IncomingMessage[] = [];
  const nowMs = performance.now();
  for (const change of changes) {
    const { request } = change;
    const { bytesRead } = request.socket;
    if (request.complete || bytesRead !== change.bytes) {
      change.bytes = bytesRead;
      change.sinceMs = nowMs;
    }
    if (nowMs - change.sinceMs >= stalledMs) request.destroy();
    requests.push(request);
  }
  return requests;
}
