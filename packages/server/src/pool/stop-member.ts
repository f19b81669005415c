import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Engine } from '../engines/engine.ts';
import type { Endpoint } from './endpoint.ts';
import type { ExitWatch } from './exit-watch.ts';
import type { Launched } from './launcher.ts';

/** Time an instance gets between SIGTERM and SIGKILL when everything stops, and beyond its timeout for its last request. */
const STOP_GRACE_MS = 5_000;
/** How long the last words of a stopped instance are waited for. */
const LAST_WORDS_MS = 500;

/** An instance of a pool. */
export interface Member {
  readonly launched: Launched;
  /** Replaced when its connections are not to be used any more. */
  endpoint: Endpoint;
  state: 'ready' | 'draining';
  /** Monotonic milliseconds. */
  readonly readyAtMs: number;
  /** Asks it how it is while it serves. */
  watch?: Disposable;
  /** Called when it holds no request, while it is draining. */
  onIdle?: () => void;
}

/** What {@link stopMember} needs. */
export interface StopMemberOptions {
  readonly engine: Engine;
  readonly exits: ExitWatch;
  readonly logger: Logger;
  /** Longest time a request may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Time between SIGTERM and SIGKILL once it holds no request, unless everything stops. */
  readonly graceMs: number;
  /** Aborts when everything is to stop at once, busy or not. */
  readonly closing: AbortSignal;
}

/**
 * Stops an instance that gets no new requests: waits until it holds none (S2), then resolves when the exit was seen
 * (E3) and its connections and log are closed. Never throws; one that cannot be stopped is left to the reconciler.
 */
export async function stopMember(member: Member, options: StopMemberOptions): Promise<void> {
  const { engine, exits, logger } = options;
  const { launched, endpoint } = member;
  const { id } = launched.instance;
  if (endpoint.inFlight > 0 && !options.closing.aborted) await untilIdle(member, options);
  try {
    const { graceMs, closing } = options;
    await engine.stop(id, { graceMs: closing.aborted ? Math.min(graceMs, STOP_GRACE_MS) : graceMs });
  } catch (error) {
    logger.warn({ instance: id, err: asEbbError(error) }, 'an instance could not be stopped yet');
  }
  exits.forget(id);
  endpoint.connections.closeAll();
  await Promise.race([launched.log.ended, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
  launched.log.stop();
}

/** Resolves when an instance holds no request, has ended, is too late with its last one, or all is closing. */
async function untilIdle(member: Member, { timeoutMs, closing }: StopMemberOptions): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  member.onIdle = stop;
  void member.launched.exited.then(stop);
  closing.addEventListener('abort', stop, { once: true });
  const timer = setTimeout(stop, timeoutMs + STOP_GRACE_MS);
  await promise;
  clearTimeout(timer);
  closing.removeEventListener('abort', stop);
}
