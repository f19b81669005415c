import { join } from 'node:path';
import { createAcceptance, type Acceptance } from '../../async/accept.ts';
import { startHousekeeping } from '../../async/housekeeping.ts';
import { createInvocations } from '../../async/invocations.ts';
import { createPayloadFiles, type PayloadFiles } from '../../async/payload-files.ts';
import { createWaiters, type Waiters } from '../../async/waiters.ts';
import type { Config } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { FunctionRegistry, Invocations } from '../../core/ports.ts';
import type { LendableQueue } from '../../store/lendable-queue.ts';

/** What {@link wireAsync} joins. */
export interface WireAsyncOptions {
  readonly config: Pick<
    Config,
    'dataDir' | 'asyncMaxPayloadBytes' | 'asyncMaxQueued' | 'asyncKeptMs' | 'deadLettersKeptMs'
  >;
  readonly queue: LendableQueue;
  readonly registry: FunctionRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether a server that is replaced still uses the data directory. */
  readonly isShared: boolean;
}

/** What a server hands over to its successor of its asynchronous calls; see the steps of a takeover. */
export interface HandedCalls {
  /** Begins nothing new and lets nobody wait long, so that the queue comes free. */
  hold(): void;
  /** Closes the queue; what is asked of it waits. */
  lend(): Promise<void>;
  giveAway(error: Error): void;
  takeBack(): Promise<void>;
  /** Goes on as before {@link hold}. */
  goOn(): void;
}

/** The parts for asynchronous calls. */
export interface AsyncCalls extends HandedCalls, AsyncDisposable {
  readonly acceptance: Acceptance;
  readonly files: PayloadFiles;
  readonly waiters: Waiters;
  readonly invocations: Invocations;
  /** Begins to clear away what is old. */
  start(): void;
}

/** Joins what accepts, keeps and shows asynchronous calls. Throws STORE_FAILED. */
export function wireAsync(options: WireAsyncOptions): AsyncCalls {
  const { config, queue, registry, clock, logger, isShared } = options;
  const made = new AsyncDisposableStack();
  const files = createPayloadFiles({
    directory: join(config.dataDir, 'payloads'),
    maxBytes: config.asyncMaxPayloadBytes,
    isShared,
  });
  const acceptance = createAcceptance({ registry, queue, files, clock, maxQueued: config.asyncMaxQueued });
  const waiters = createWaiters();
  const invocations = createInvocations({ queue, acceptance, files, waiters, clock });
  return {
    acceptance,
    files,
    waiters,
    invocations,
    start() {
      const { asyncKeptMs: keptMs, deadLettersKeptMs: deadKeptMs } = config;
      made.use(startHousekeeping({ queue, files, clock, logger, keptMs, deadKeptMs }));
    },
    hold: () => waiters.hold(),
    lend: () => queue.lend(),
    giveAway: (error) => queue.giveAway(error),
    takeBack: () => queue.takeBack(),
    goOn: () => waiters.goOn(),
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };
}
