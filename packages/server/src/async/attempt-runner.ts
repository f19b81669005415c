import type { AsyncPolicy, AttemptResource } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Lease, NewItem, QueueRecord, Settlement, Target } from '../store/queue.ts';
import { decideSettlement, settleExpired } from './decide-settlement.ts';
import type { Delivered, Deliverer } from './deliverer.ts';
import type { RunningAttempt } from './running-attempt.ts';
import type { Settler } from './settler.ts';

/** How a call ended for good. */
export type Ending = Extract<Settlement['next'], { readonly kind: 'succeeded' | 'dead' }>;

/** A call that has ended for good. */
export interface EndedCall {
  /** As it was before it ended. */
  readonly record: QueueRecord;
  readonly ending: Ending;
  /** The attempt that ended it, where there was one. */
  readonly attempt: AttemptResource | undefined;
  readonly policy: AsyncPolicy;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

/** Says what is queued with the end of a call: where its outcome goes. */
export type FollowUps = (ended: EndedCall) => readonly NewItem[];

/** What attempts are made with. */
export interface AttemptRunnerOptions {
  readonly deliverers: Readonly<Record<'function' | 'url', Deliverer>>;
  /** What holds for calls of a target, also of one that is gone. */
  readonly policyOf: (target: Target) => AsyncPolicy;
  readonly followUps: FollowUps;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'error'>;
  /** Default: Math.random. */
  readonly random?: (() => number) | undefined;
}

/** What is told of calls that were settled. */
export type OnSettled = (record: QueueRecord, next: Settlement['next'], follow: readonly NewItem[]) => void;

/** Makes attempts and has what came of them written down; says nothing of those that somebody else has by now (A4). */
export class AttemptRunner {
  readonly #options: AttemptRunnerOptions;
  readonly #settler: Settler;
  readonly #onSettled: OnSettled;

  constructor(options: AttemptRunnerOptions, settler: Settler, onSettled: OnSettled) {
    this.#options = options;
    this.#settler = settler;
    this.#onSettled = onSettled;
  }

  /** Makes one attempt; never rejects. */
  async deliver(lease: Lease, signal: AbortSignal): Promise<Delivered> {
    const { deliverers, clock, logger } = this.#options;
    const { kind } = lease.record.target;
    const startedAt = clock.now();
    try {
      if (kind === 'queue') throw new Error('a queue delivers nothing');
      return await deliverers[kind].deliver(lease, signal);
    } catch (error) {
      const { id } = lease.record;
      logger.error({ err: error, callId: id }, 'an asynchronous call met a defect');
      const { code, message, status } = asEbbError(error);
      return { verdict: 'platform', startedAt, endedAt: clock.now(), errorCode: code, status, message };
    }
  }

  /** Writes down what came of an attempt. */
  async settle(attempt: RunningAttempt, delivered: Delivered): Promise<void> {
    const { clock, policyOf, random = Math.random } = this.#options;
    const { record, attempt: number, receipt } = attempt.lease;
    const policy = policyOf(record.target);
    const { stopped } = attempt;
    const now = clock.now();
    const settlement = decideSettlement({
      record,
      attempt: number,
      delivered,
      policy,
      cancelled: stopped?.kind === 'cancelled' ? stopped.message : undefined,
      now,
      random: random(),
    });
    const { next } = settlement;
    const follow = this.#followUps({ record, next, attempt: settlement.attempt, policy, now });
    const isSettled = await this.#settler.settle({ ...settlement, receipt, now, follow }, () => this.#isHeld(attempt));
    if (isSettled) this.#onSettled(record, next, follow);
  }

  /** Gives up a call that is too old; its lease lasts until then, in monotonic milliseconds. */
  async expire({ record, receipt }: Lease, heldUntilMs: number): Promise<void> {
    const { clock, policyOf } = this.#options;
    const next = settleExpired(record);
    const now = clock.now();
    const follow = this.#followUps({ record, next, attempt: undefined, policy: policyOf(record.target), now });
    const isHeld = () => clock.monotonic() < heldUntilMs;
    const isSettled = await this.#settler.settle({ receipt, now, next, follow }, isHeld);
    if (isSettled) this.#onSettled(record, next, follow);
  }

  /** Has an attempt that did not begin be as if it had not been leased. */
  async giveBack(attempt: RunningAttempt): Promise<void> {
    const now = this.#options.clock.now();
    const { receipt } = attempt.lease;
    const next = { kind: 'retry', at: now, counts: false } as const;
    await this.#settler.settle({ receipt, now, next }, () => this.#isHeld(attempt));
  }

  #isHeld(attempt: RunningAttempt): boolean {
    return attempt.stopped?.kind !== 'lost' && this.#options.clock.monotonic() < attempt.heldUntilMs;
  }

  #followUps({ next, ...ended }: Omit<EndedCall, 'ending'> & Pick<Settlement, 'next'>): readonly NewItem[] {
    if (next.kind !== 'succeeded' && next.kind !== 'dead') return [];
    return this.#options.followUps({ ...ended, ending: next });
  }
}
