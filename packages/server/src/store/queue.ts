import type { AttemptResource, DeadReason, Destination, InvocationState, KeyOrder } from '@ebb/contract';

/** What a call is for. */
export type Target =
  | {
      readonly kind: 'function';
      readonly namespace: string;
      readonly name: string;
      /** `:alias`, `@number`, or empty for what the bare name means when the attempt begins. */
      readonly qualifier: string;
    }
  /** An address that an outcome is posted to. */
  | { readonly kind: 'url'; readonly namespace: string; readonly url: string }
  /** A queue whose items stay until somebody takes them; nothing delivers them. */
  | { readonly kind: 'queue'; readonly namespace: string; readonly name: string };

/** The body of a call or of its answer: small ones in the record, others in a file named by its digest. */
export type Payload =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'file'; readonly digest: string; readonly sizeBytes: number };

/** What binds calls with the same key in the same lane. */
export interface KeyRules {
  readonly key: string;
  /**
   * `strict`: in order of acceptance, and a call that waits for its retry keeps the others waiting. `best-effort`: they
   * begin in that order, but a retry does not hold up the next. `none`: only `concurrency` binds.
   */
  readonly order: KeyOrder;
  /** Most of them that run at once; with `strict` those waiting for a retry count. Absent for no limit. */
  readonly concurrency?: number | undefined;
  /** Each may begin no earlier than this many milliseconds after the one accepted before it may. 0 for no bound. */
  readonly throttleMs: number;
  /**
   * Above 0 it begins that much later than asked for, and cancels (`superseded by ID`) those of the same key that were
   * accepted with `debounceMs` above 0 as well and have not begun a first attempt.
   */
  readonly debounceMs: number;
}

/** Makes a second submit with the same key the first one's; kept per lane until `untilAt`. */
export interface Idempotency {
  readonly key: string;
  /** Digest over what was submitted; another one under the same key is a mismatch. */
  readonly digest: string;
  readonly untilAt: number;
}

/** A call as it is handed to a queue. All moments are milliseconds since the Unix epoch. */
export interface NewItem {
  /** The call id, kept over all attempts. Chosen by the caller, unique. */
  readonly id: string;
  readonly namespace: string;
  /** What takes turns with other lanes; items of one lane are leased together. At most 200 characters; it belongs to one namespace. */
  readonly lane: string;
  readonly target: Target;
  readonly method: string;
  /** What the function sees as its target. */
  readonly path: string;
  /** Names and values alternate. */
  readonly headers: readonly string[];
  readonly body: Payload;
  readonly acceptedAt: number;
  /** No attempt begins earlier. */
  readonly runAt: number;
  /** What has not succeeded by then is to be given up; the queue itself does nothing about it, see {@link LeaseRequest}. */
  readonly expiresAt: number;
  /** 0 to 9; higher ones of a lane are leased first, equal ones in order of acceptance. */
  readonly priority: number;
  readonly rules?: KeyRules | undefined;
  readonly idempotency?: Idempotency | undefined;
  readonly origin?: Origin | undefined;
  /** Where the outcome goes besides what the function itself says. */
  readonly callbacks?: readonly Destination[] | undefined;
}

/** The call an item came from. */
export interface Origin {
  readonly kind: 'redrive' | 'replay' | 'success' | 'failure' | 'callback' | 'job';
  readonly of: string;
  /** Of a post that was redriven: the item it was at first, whose id it is delivered under. */
  readonly first?: string | undefined;
}

/** The answer that is kept of a call. */
export interface StoredResult {
  readonly status: number;
  /** Names and values alternate. */
  readonly headers: readonly string[];
  readonly body: Payload;
}

/** A call as a queue holds it. */
export interface QueueRecord extends Omit<NewItem, 'idempotency'> {
  readonly state: InvocationState;
  /** Order of acceptance in this queue. */
  readonly seq: number;
  /** Attempts that ended, oldest first. */
  readonly attempts: readonly AttemptResource[];
  /** Attempts begun, those included of which nobody heard again; the next one has the number after it (A3). */
  readonly begun: number;
  /** Attempts that counted against what the function allows. */
  readonly failures: number;
  /** When the next attempt may begin; only while queued. */
  readonly nextAt?: number | undefined;
  readonly endedAt?: number | undefined;
  readonly result?: StoredResult | undefined;
  readonly dead?: { readonly reason: DeadReason; readonly message: string; readonly redrivenAs?: string | undefined };
  /** Why it was cancelled. */
  readonly cancelled?: string | undefined;
}

/** What became of an item that was to be queued. */
export type Enqueued =
  | { readonly kind: 'accepted'; readonly id: string }
  /** An earlier item with the same idempotency key and digest stands for it. */
  | { readonly kind: 'duplicate'; readonly id: string }
  /** The idempotency key was used for something else. */
  | { readonly kind: 'mismatch'; readonly id: string }
  /** Its namespace has as many items queued or running as it may. */
  | { readonly kind: 'full' };

/** Asks for work of one lane. */
export interface LeaseRequest {
  readonly lane: string;
  readonly max: number;
  readonly now: number;
  /** Until when nobody else gets the items, unless the lease is extended. */
  readonly untilAt: number;
  /** Who leases: a run of the server. */
  readonly owner: string;
  /**
   * Only items whose `expiresAt` is over, those that are over longest first, also those that wait for a moment or for
   * their key. Default: false.
   */
  readonly expired?: boolean | undefined;
}

/** The right to make one attempt. */
export interface Lease {
  readonly record: QueueRecord;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  /** Fences: only the newest receipt of an item settles it (A4). */
  readonly receipt: string;
}

/** What was leased. */
export interface Leased {
  readonly leases: readonly Lease[];
  /**
   * When more may be due, if nothing changes until then: 0 where more may begin at once; absent when nothing waits for a
   * moment. Whether a key lets go what waits for its moment shows only then.
   */
  readonly nextAt?: number | undefined;
}

/** How an attempt ends for the queue. */
export interface Settlement {
  readonly receipt: string;
  /** What is known of the attempt; absent where it never began, which then is as if it had not been leased. */
  readonly attempt?: AttemptResource | undefined;
  readonly now: number;
  readonly next:
    | { readonly kind: 'succeeded'; readonly result?: StoredResult | undefined }
    /** `counts` where it was the function's own fault. */
    | { readonly kind: 'retry'; readonly at: number; readonly counts: boolean }
    | {
        readonly kind: 'dead';
        readonly reason: DeadReason;
        readonly message: string;
        readonly result?: StoredResult | undefined;
        readonly counts: boolean;
      }
    | { readonly kind: 'cancelled'; readonly message: string };
  /** Items queued in the same commit: where the outcome goes. Those with a taken id are left out. */
  readonly follow?: readonly NewItem[] | undefined;
}

/** What a cancel came to. */
export type Cancelled =
  /** It was queued and is cancelled now. */
  | { readonly kind: 'cancelled' }
  /** It runs: whoever holds the receipt has to end it. */
  | { readonly kind: 'running' }
  /** It has ended already. */
  | { readonly kind: 'ended'; readonly state: InvocationState }
  | { readonly kind: 'unknown' };

/** Which records are listed: those that match everything given. */
export interface RecordQuery {
  readonly namespace: string;
  readonly lane?: string | undefined;
  readonly states?: readonly InvocationState[] | undefined;
  /** Dead letters that were not redriven (false), or were (true). */
  readonly redriven?: boolean | undefined;
  readonly reason?: DeadReason | undefined;
  readonly key?: string | undefined;
  /** Accepted at or after. */
  readonly sinceAt?: number | undefined;
  /** Accepted before. */
  readonly beforeAt?: number | undefined;
  /** Those with a smaller `seq`, to go on where a page ended. */
  readonly beforeSeq?: number | undefined;
  readonly limit: number;
}

/** What waits and runs in one lane. */
export interface LaneStats {
  readonly lane: string;
  readonly namespace: string;
  readonly queued: number;
  readonly running: number;
  /** Acceptance of the oldest queued item. */
  readonly oldestAt?: number | undefined;
  /** When the next item of the lane may be leased: 0 for at once. Absent when only keys hold it back. */
  readonly nextAt?: number | undefined;
}

/** What is over and may be forgotten: records that ended before these moments. */
export interface Retention {
  readonly succeededBefore: number;
  readonly cancelledBefore: number;
  readonly deadBefore: number;
}

/**
 * Durable work. Whatever a method resolves with is on disk (A1); what rejects may or may not be. Rejects with
 * STORE_FAILED when the medium fails, STORAGE_FULL when there is no space for it. Reads see every resolved write.
 * One conformance suite holds for every driver; the memory driver is its oracle.
 */
export interface Queue extends AsyncDisposable {
  readonly name: 'memory' | 'sqlite' | 'nats';
  /**
   * Whether a lease that is asked for after an `enqueue`, without waiting for that, finds what was queued by it. What a
   * lease resolves with is on disk all the same, the call as well as the number of its attempt. Default: no.
   */
  readonly leasesWhatIsQueued?: boolean | undefined;
  /**
   * Queues items, each by itself: `full` or `mismatch` of one leaves the others. Calls at the same time share commits.
   * An id that is there already is `accepted` again and changes nothing.
   */
  enqueue(
    items: readonly NewItem[],
    limits?: { readonly perNamespace?: number | undefined },
  ): Promise<readonly Enqueued[]>;
  /** Takes due items of a lane: highest priority first, then in order of acceptance, within what keys allow. */
  lease(request: LeaseRequest): Promise<Leased>;
  /** Lengthens leases; false for a receipt that is not the newest of its item any more, or whose item has ended. */
  extend(receipts: readonly string[], untilAt: number): Promise<readonly boolean[]>;
  /** Ends attempts, each by itself; false, with no change at all, for a receipt that does not count any more (A4). */
  settle(settlements: readonly Settlement[]): Promise<readonly boolean[]>;
  /**
   * Makes items queued again whose leases ran out, or, with `owners`, whose owner is none of these, and notes their
   * attempts as lost. Returns the lanes that have work from it.
   */
  reclaim(options: {
    readonly now: number;
    readonly owners?: readonly string[] | undefined;
  }): Promise<readonly string[]>;
  cancel(id: string, options: { readonly now: number; readonly message: string }): Promise<Cancelled>;
  get(id: string): Promise<QueueRecord | undefined>;
  /** Newest first. Bodies of calls and answers that are kept in records are left out (`none`). */
  list(query: RecordQuery): Promise<readonly QueueRecord[]>;
  /** Every lane with queued or running items. */
  lanes(): Promise<readonly LaneStats[]>;
  /** How many records of a namespace are in each state; all are in it that `enqueue` was asked for before. */
  count(namespace: string): Promise<Readonly<Record<InvocationState, number>>>;
  /** Whether items for that qualifier of a function (`@3`) are queued or running. */
  hasQueued(target: Extract<Target, { readonly kind: 'function' }>): Promise<boolean>;
  /**
   * Queues dead letters anew under new ids, with as long to live as they had, `runAt` now and the same everything else;
   * both in one commit. False for what is no dead letter or was redriven before.
   */
  redrive(pairs: readonly { readonly id: string; readonly newId: string }[], now: number): Promise<readonly boolean[]>;
  /** Removes dead letters; false for what is none. */
  purge(ids: readonly string[]): Promise<readonly boolean[]>;
  /** Forgets at most `max` records that are over, and idempotency keys whose time is. Returns how many records went. */
  forget(retention: Retention, now: number, max: number): Promise<number>;
  /**
   * Forgets at most `max` records of a namespace that are over, however new, and with the last of them its idempotency
   * keys. Returns how many records went. For a namespace that is removed.
   */
  clear(namespace: string, max: number): Promise<number>;
  /** Which of these digests some record refers to. */
  filesInUse(digests: readonly string[]): Promise<ReadonlySet<string>>;
}
