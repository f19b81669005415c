import type { Desk } from './leased-desk.ts';
import type { SlotMessage, SlotRequest } from './messages.ts';

/**
 * Slots that are no longer waited for are taken back after this: under load the next call wants them, and saying so call
 * by call would cost more than the calls.
 */
const WITHDRAW_AFTER_MS = 5;

/** What is asked of the desks' demand. */
type DemandedDesk = Pick<Desk, 'key' | 'waiters' | 'asked' | 'withdrawing'>;

/** Has the number of slots that are asked for follow the number of calls that wait. */
export class SlotDemand implements Disposable {
  readonly #send: (message: SlotRequest) => void;
  readonly #dirty = new Set<DemandedDesk>();
  readonly #surplus = new Set<DemandedDesk>();
  #withdrawal: NodeJS.Timeout | undefined;

  constructor(send: (message: SlotRequest) => void) {
    this.#send = send;
  }

  /** Takes note that calls came or went; what follows is said once for all of this turn. */
  changed(desk: DemandedDesk): void {
    if (this.#dirty.size === 0) setImmediate(() => this.#settle());
    this.#dirty.add(desk);
  }

  /** Takes note of a slot that is refused; whether a call is, because none was asked for without need. */
  refused(desk: DemandedDesk): boolean {
    desk.asked -= 1;
    this.changed(desk);
    return desk.waiters.length > desk.asked - desk.withdrawing;
  }

  /** Takes note of the answer to a withdrawal. */
  withdrawn(desk: DemandedDesk, answer: Extract<SlotMessage, { readonly kind: 'withdrawn' }>): void {
    desk.asked -= answer.removed;
    desk.withdrawing -= answer.asked;
    this.changed(desk);
  }

  /** Whether nothing was asked for that is not answered. */
  isSettled(desk: DemandedDesk): boolean {
    return desk.asked === 0 && desk.withdrawing === 0 && !this.#dirty.has(desk) && !this.#surplus.has(desk);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#withdrawal);
  }

  #settle(): void {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const desk of dirty) {
      const lacking = -surplusOf(desk);
      if (lacking > 0) {
        desk.asked += lacking;
        this.#send({ kind: 'want', key: desk.key, count: lacking });
      } else if (lacking < 0) {
        this.#surplus.add(desk);
        this.#withdrawal ??= setTimeout(() => this.#withdraw(), WITHDRAW_AFTER_MS);
      }
    }
  }

  /** Takes back what was asked for and is still not needed. */
  #withdraw(): void {
    this.#withdrawal = undefined;
    const desks = [...this.#surplus];
    this.#surplus.clear();
    for (const desk of desks) {
      const surplus = surplusOf(desk);
      if (surplus <= 0) continue;
      desk.withdrawing += surplus;
      this.#send({ kind: 'withdraw', key: desk.key, count: surplus });
    }
  }
}

function surplusOf({ asked, withdrawing, waiters }: DemandedDesk): number {
  return asked - withdrawing - waiters.length;
}
