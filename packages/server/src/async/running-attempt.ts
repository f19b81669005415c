import type { Lease } from '../store/queue.ts';

/** Why an attempt is ended before its own end. */
export type StopReason =
  /** Somebody cancelled the call. */
  | { readonly kind: 'cancelled'; readonly message: string }
  /** Somebody else has the call by now: nothing is written any more. */
  | { readonly kind: 'lost' }
  /** This server stops. */
  | { readonly kind: 'returned' };

/** One attempt that this server makes. */
export class RunningAttempt {
  readonly lease: Lease;
  /** Monotonic milliseconds at which the lease ends if nobody extends it. */
  heldUntilMs: number;
  /** Whether it has ended, and only its settlement is under way. */
  isEnded = false;
  readonly #aborting = new AbortController();
  #stopped: StopReason | undefined;

  constructor(lease: Lease, heldUntilMs: number) {
    this.lease = lease;
    this.heldUntilMs = heldUntilMs;
  }

  get signal(): AbortSignal {
    return this.#aborting.signal;
  }

  /** Why it was stopped, if it was; the first reason counts, but for the loss of the lease. */
  get stopped(): StopReason | undefined {
    return this.#stopped;
  }

  /** Ends it; false when it has ended or was stopped for another reason already. */
  stop(reason: StopReason): boolean {
    if (reason.kind === 'lost') this.#stopped = reason;
    else if (this.isEnded || this.#stopped) return false;
    this.#stopped = reason;
    this.#aborting.abort();
    return true;
  }
}
