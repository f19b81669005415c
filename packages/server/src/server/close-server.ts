import type { JobEngine } from '../jobs/create-jobs.ts';
import type { Front } from './front.ts';
import type { Health } from './health.ts';
import type { HandOver } from './takeover/hand-over.ts';
import type { AsyncCalls } from './wire/wire-async.ts';

/** Connections get so long for their last answer. */
const LAST_ANSWER_MS = 1_000;

/** The parts that are closed in an order of their own. */
export interface ClosedParts {
  readonly handOver: Pick<HandOver, 'close'>;
  readonly calls: Pick<AsyncCalls, 'stop' | 'giveBack'>;
  readonly front: Pick<Front, 'callsEnded' | 'drain' | 'left' | 'close'>;
  readonly jobs: Pick<JobEngine, 'streamsEnded'>;
  readonly api: AsyncDisposable;
  readonly health: Pick<Health, 'draining'>;
  /** Whether another server has taken over by now. */
  readonly isReplaced: () => boolean;
  /** Everything else, in the order of its making. */
  readonly rest: AsyncDisposable;
}

/** Makes what closes a server: idempotent, and asked again it waits for nobody's calls any more. */
export function createClosing({
  handOver,
  calls,
  front,
  jobs,
  api,
  health,
  ...parts
}: ClosedParts): () => Promise<void> {
  const hurry = new AbortController();
  let closed: Promise<void> | undefined;

  async function close(now: AbortSignal): Promise<void> {
    // Told to stop while another server takes over: it does, and nobody is refused anything.
    await handOver.close();
    // With a successor nobody is refused anything: calls end by themselves, at the latest by their timeouts.
    health.draining = true;
    await calls.stop();
    if (parts.isReplaced())
      await Promise.race([Promise.all([front.callsEnded(now), jobs.streamsEnded()]), aborted(now)]);
    else await front.drain();
    await calls.giveBack();
    // Ends followed logs, which would keep their connections open.
    await api[Symbol.asyncDispose]();
    // What was promised to idle connections is kept: a request may be on its way on one, also on one of the server
    // that this one replaced, which passes it on to here.
    if (parts.isReplaced()) await front.left(now);
    await front.close(LAST_ANSWER_MS);
    await parts.rest[Symbol.asyncDispose]();
  }

  return () => {
    if (closed) hurry.abort();
    return (closed ??= close(hurry.signal));
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
