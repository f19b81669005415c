import { setTimeout as sleep } from 'node:timers/promises';
import { asEbbError, EbbError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { InstancePools } from '../../pool/instance-pools.ts';
import type { JobEngine } from '../../jobs/create-jobs.ts';
import type { DeployRunner } from '../../registry/accepted-deploys.ts';
import type { RolloutEngine } from '../../rollouts/create-rollouts.ts';
import type { LendableStore } from '../../store/lendable-key-value.ts';
import type { Front } from '../front.ts';
import { retried } from '../retried.ts';
import type { HandedCalls } from '../wire/wire-async.ts';
import type { ApiGate } from './api-gate.ts';
import type { HandOverSteps } from './hand-over.ts';
import { relayRequest } from './relay.ts';

/** Callers wait this long for a successor to begin at most, so that it begins with instances that short calls were on. */
const SHORT_CALLS_MS = 100;
/** A successor that was killed may have the store's file for a moment longer. */
const TAKE_BACK_TRIES = 20;
/** How often a store that could not be opened then is tried again. */
const TAKE_BACK_EVERY_MS = 1_000;

/** The parts of a server that go over to a successor. */
export interface HandedParts {
  readonly gate: ApiGate;
  readonly pools: Pick<InstancePools, 'pause' | 'release' | 'resume'>;
  readonly rollouts: Pick<RolloutEngine, 'hold' | 'goOn'>;
  readonly deploys: Pick<DeployRunner, 'hold' | 'goOn'>;
  readonly jobs: Pick<JobEngine, 'hold' | 'goOn'>;
  readonly store: LendableStore;
  readonly calls: HandedCalls;
  readonly front: Pick<Front, 'handOn' | 'callsEnded' | 'leave'>;
  readonly logger: Logger;
  /** Called when instances have become free. */
  readonly onReleased: () => void;
  /** Called when the successor serves in this server's place. */
  readonly onReplaced: () => void;
}

/**
 * Makes the steps by which a server gives its parts to a successor. `takeBackEveryMs` is how often a store that cannot be
 * opened again is tried, by default every second.
 */
export function createHandOverSteps(
  { gate, pools, rollouts, deploys, jobs, store, calls, front, logger, ...told }: HandedParts,
  { takeBackEveryMs = TAKE_BACK_EVERY_MS }: { readonly takeBackEveryMs?: number } = {},
): HandOverSteps {
  /** While the store cannot be opened again. */
  let retrying: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;

  const giveAway = (error: EbbError) => {
    store.giveAway(error);
    calls.giveAway(error);
  };
  const takeBack = async () => {
    await store.takeBack();
    await calls.takeBack();
  };

  /** Changes are refused until then; calls, and what is known in memory, are served. */
  const takeBackLater = async (cause: unknown, signal: AbortSignal) => {
    const why = asEbbError(cause).message;
    logger.error({ err: cause }, 'the store could not be opened again: functions serve on, changes are refused');
    giveAway(
      new EbbError('STORE_FAILED', `nothing can be changed until the store is open again, which is tried: ${why}`, {
        cause,
        retryAfterSeconds: 1,
      }),
    );
    for (;;) {
      await sleep(takeBackEveryMs, undefined, { ref: false, signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        await takeBack();
        break;
      } catch {
        // Logged once; the next try may succeed.
      }
    }
    logger.info('the store is open again');
    rollouts.goOn();
    deploys.goOn();
    jobs.goOn();
    calls.goOn();
  };
  return {
    async lend(signal) {
      retrying?.stop.abort();
      await retrying?.ended;
      retrying = undefined;
      await calls.hold();
      await gate.hold(signal);
      await deploys.hold();
      await rollouts.hold();
      await jobs.hold();
      await pools.pause();
      signal.throwIfAborted();
      await store.lend();
      await calls.lend();
    },
    async give(relay) {
      front.handOn(relay);
      giveAway(
        new EbbError('DRAINING', 'another server has taken over the store; send it again', { retryAfterSeconds: 1 }),
      );
      calls.passOn();
      gate.turnOver((request, response, body) => relayRequest(relay, request, response, body));
      // What short calls are on is warm for the successor as well.
      await front.callsEnded(AbortSignal.timeout(SHORT_CALLS_MS));
      pools.release(told.onReleased);
    },
    leave() {
      told.onReplaced();
      front.leave();
    },
    async resume() {
      front.handOn(undefined);
      try {
        await retried(takeBack, TAKE_BACK_TRIES, isInUse);
        rollouts.goOn();
        deploys.goOn();
        jobs.goOn();
        calls.goOn();
      } catch (error) {
        const stop = new AbortController();
        retrying = { stop, ended: takeBackLater(error, stop.signal) };
      }
      pools.resume();
      gate.open();
    },
  };
}

/** Whether the store could not be opened because another server has it. */
export function isInUse(error: unknown): boolean {
  return error instanceof EbbError && error.code === 'DATA_DIR_IN_USE';
}
