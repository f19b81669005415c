import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createAcceptance, type Acceptance } from '../../async/accept.ts';
import { createEgress } from '../../async/egress/egress.ts';
import { foldLanes, type LaneGauges } from '../../async/fold-lanes.ts';
import { startHousekeeping } from '../../async/housekeeping.ts';
import { createInvocations } from '../../async/invocations.ts';
import { createPayloadFiles, type PayloadFiles } from '../../async/payload-files.ts';
import {
  answerSettling,
  type AskSettling,
  createRemoteSettling,
  createSwitchedSettling,
} from '../../async/settling.ts';
import { createWaiters, type Waiters } from '../../async/waiters.ts';
import type { Config } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { FunctionRegistry, Invocations, SigningKeys } from '../../core/ports.ts';
import type { PlatformInvoker } from '../../gateway/invoker.ts';
import type { InstancePools } from '../../pool/instance-pools.ts';
import type { LendableQueue } from '../../store/lendable-queue.ts';
import type { Target } from '../../store/queue.ts';
import { type Dispatch, wireDispatch } from './wire-dispatch.ts';
import { type Outcomes, wireOutcomes } from './wire-outcomes.ts';
import type { Metrics } from '../../telemetry/metrics.ts';

/** What {@link wireAsync} joins. */
export interface WireAsyncOptions {
  readonly config: Pick<
    Config,
    'dataDir' | 'asyncMaxPayloadBytes' | 'asyncMaxQueued' | 'asyncKeptMs' | 'deadLettersKeptMs' | 'callbackAllow'
  >;
  readonly queue: LendableQueue;
  readonly registry: FunctionRegistry;
  readonly signingKeys: SigningKeys;
  readonly pools: Pick<InstancePools, 'find'>;
  readonly invoker: PlatformInvoker;
  /** Counts the calls from outside. */
  readonly outside: () => number;
  /** Asks the server that has taken over from this one. */
  readonly askSuccessor: AskSettling;
  /** Ends the attempt of a call in the server that this one took over from; false when none runs there. */
  readonly abortBefore: (id: string, message: string) => Promise<boolean>;
  readonly metrics: Pick<Metrics, 'offered' | 'settled'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether a server that is replaced still uses the data directory. */
  readonly isShared: boolean;
}

/** What a server hands over to its successor of its asynchronous calls; see the steps of a takeover. */
export interface HandedCalls {
  /** Begins nothing new and lets nobody wait long, so that the queue comes free. */
  hold(): Promise<void>;
  /** Closes the queue; what is asked of it waits. */
  lend(): Promise<void>;
  giveAway(error: Error): void;
  takeBack(): Promise<void>;
  /** Has the successor write down what still runs here. */
  passOn(): void;
  /** Goes on as before {@link hold}. */
  goOn(): void;
}

/** The parts for asynchronous calls. */
export interface AsyncCalls extends HandedCalls, AsyncDisposable {
  readonly acceptance: Acceptance;
  readonly files: PayloadFiles;
  readonly waiters: Waiters;
  readonly invocations: Invocations;
  readonly outcomes: Outcomes;
  /** How calls stand, for the metrics. */
  gauges(): Promise<readonly LaneGauges[]>;
  /** Begins to deliver calls, and to clear away what is old. */
  start(alive?: readonly string[]): Promise<void>;
  /** Begins no attempt any more, and gives back those that wait for an instance. */
  stop(): Promise<void>;
  /** Gives back the calls that still run: whoever comes next makes them anew. */
  giveBack(): Promise<void>;
  /** Names this run of the server in leases. */
  readonly owner: string;
  /** Does what a server that was replaced wants done in the queue. Rejects as the queue does. */
  settleFor(text: string): Promise<string>;
  /** Ends the attempt of a call that runs here, or in the server before; false when none does. */
  abort(id: string, message: string): Promise<boolean>;
  /** Takes back at once what runs of the server left that are none of these. */
  reclaim(alive?: readonly string[]): Promise<void>;
}

/** Joins what accepts, keeps and shows asynchronous calls. Throws STORE_FAILED, and CONFIG_INVALID for `callbackAllow`. */
export function wireAsync(options: WireAsyncOptions): AsyncCalls {
  const {
    config,
    queue,
    registry,
    signingKeys,
    metrics,
    pools,
    invoker,
    outside,
    askSuccessor,
    abortBefore,
    clock,
    logger,
    isShared,
  } = options;
  const owner = randomUUID();
  const egress = createEgress({ allow: config.callbackAllow });
  const made = new AsyncDisposableStack();
  const files = createPayloadFiles({
    directory: join(config.dataDir, 'payloads'),
    maxBytes: config.asyncMaxPayloadBytes,
    isShared,
  });
  const acceptance = createAcceptance({
    registry,
    queue,
    files,
    clock,
    maxQueued: config.asyncMaxQueued,
    checkCallback: (url) => egress.check(url),
    onOutcome: (outcome, target) => metrics.offered(outcome, labelOf(target)),
  });
  const waiters = createWaiters();
  const outcomes = wireOutcomes({ queue, registry, acceptance, files, egress, signingKeys, clock, owner });
  const settling = createSwitchedSettling(queue);
  const dispatch: Dispatch = made.use(
    wireDispatch({
      queue,
      settling,
      owner,
      registry,
      pools,
      invoker,
      outside,
      files,
      url: outcomes.urlDeliverer,
      onEnded: (id) => waiters.ended(id),
      onSettled: (outcome, target) => metrics.settled(outcome, labelOf(target)),
      clock,
      logger,
    }),
  );
  const { dispatcher } = dispatch;
  const stop = async () => {
    await dispatcher.stop();
    invoker.letGo();
  };
  const abort = async (id: string, message: string) => dispatcher.abort(id, message) || abortBefore(id, message);
  const invocations = createInvocations({ queue, acceptance, files, waiters, clock, running: { abort } });
  return {
    acceptance,
    files,
    waiters,
    invocations,
    outcomes,
    gauges: async () => foldLanes(await queue.lanes(), clock.now()),
    async start(alive) {
      await dispatch.start(alive);
      const { asyncKeptMs: keptMs, deadLettersKeptMs: deadKeptMs } = config;
      made.use(startHousekeeping({ queue, files, clock, logger, keptMs, deadKeptMs }));
    },
    stop,
    giveBack: () => dispatcher[Symbol.asyncDispose](),
    async hold() {
      waiters.hold();
      await stop();
    },
    lend: () => queue.lend(),
    giveAway: (error) => queue.giveAway(error),
    async takeBack() {
      settling.use(queue);
      await queue.takeBack();
    },
    passOn: () => settling.use(createRemoteSettling(askSuccessor)),
    async settleFor(text) {
      const answer = await answerSettling(settling, text);
      // What it settled may have made something due.
      dispatcher.poke();
      return answer;
    },
    reclaim: (alive) => dispatcher.reclaim(alive),
    abort,
    owner,
    goOn() {
      waiters.goOn();
      dispatcher.resume();
    },
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };
}

function labelOf(target: Target | undefined): string | undefined {
  return target?.kind === 'function' ? `${target.name}.${target.namespace}` : undefined;
}
