import { EbbError } from '../../core/errors.ts';
import type { InstancePools } from '../../pool/instance-pools.ts';
import type { RolloutEngine } from '../../rollouts/create-rollouts.ts';
import type { LendableStore } from '../../store/lendable.ts';
import type { Front } from '../front.ts';
import { retried } from '../retried.ts';
import type { ApiGate } from './api-gate.ts';
import type { HandOverSteps } from './hand-over.ts';
import { relayRequest } from './relay.ts';

/** Callers wait this long for a successor to begin at most, so that it begins with instances that short calls were on. */
const SHORT_CALLS_MS = 100;
/** A successor that was killed may have the store's file for a moment longer. */
const TAKE_BACK_TRIES = 20;

/** The parts of a server that go over to a successor. */
export interface HandedParts {
  readonly gate: ApiGate;
  readonly pools: InstancePools;
  readonly rollouts: Pick<RolloutEngine, 'hold' | 'goOn'>;
  readonly store: LendableStore;
  readonly front: Front;
  /** Called when instances have become free. */
  readonly onReleased: () => void;
  /** Called when the successor serves in this server's place. */
  readonly onReplaced: () => void;
}

/** Makes the steps by which a server gives its parts to a successor. */
export function createHandOverSteps({ gate, pools, rollouts, store, front, ...told }: HandedParts): HandOverSteps {
  return {
    async lend(signal) {
      await gate.hold(signal);
      await rollouts.hold();
      await pools.pause();
      signal.throwIfAborted();
      await store.lend();
    },
    async give(relay) {
      front.handOn(relay);
      store.giveAway(
        new EbbError('DRAINING', 'another server has taken over the store; send it again', { retryAfterSeconds: 1 }),
      );
      gate.turnOver((request, response) => relayRequest(relay, request, response));
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
      await retried(() => store.takeBack(), TAKE_BACK_TRIES, isInUse);
      pools.resume();
      rollouts.goOn();
      gate.open();
    },
  };
}

/** Whether the store could not be opened because another server has it. */
export function isInUse(error: unknown): boolean {
  return error instanceof EbbError && error.code === 'DATA_DIR_IN_USE';
}
