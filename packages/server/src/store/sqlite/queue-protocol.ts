import type { HotRecord } from '../fold-held.ts';
import type {
  Cancelled,
  Enqueued,
  Idempotency,
  KeyRules,
  LaneStats,
  LeaseRequest,
  Payload,
  RecordQuery,
  Retention,
  Settlement,
  StoredResult,
} from '../queue.ts';
import type { InvocationState } from '@ebb/contract';

/** A new item on its way to the file: what the worker looks at, and the rest as text. */
export interface ItemRow {
  readonly id: string;
  readonly namespace: string;
  readonly lane: string;
  readonly priority: number;
  readonly acceptedAt: number;
  readonly runAt: number;
  readonly expiresAt: number;
  readonly rules?: KeyRules | undefined;
  readonly idempotency?: Idempotency | undefined;
  /** The qualifier of a function that it is for, with its function; absent for the bare name and for no function. */
  readonly pin?: string | undefined;
  /** JSON of {@link ItemContent}. */
  readonly content: string;
  readonly body?: Uint8Array | undefined;
  /** Digest of the body, where it is in a file. */
  readonly file?: string | undefined;
}

/** A payload without its bytes, which are kept beside it. */
export type PayloadNote = Exclude<Payload, { kind: 'bytes' }> | { readonly kind: 'bytes' };

/** A settlement as the worker gets it. */
export interface SettlementRow extends Omit<Settlement, 'follow'> {
  readonly follow: readonly ItemRow[];
}

/** A record as the worker gives it back. */
export interface RecordRow {
  readonly hot: HotRecord;
  readonly lane: string;
  readonly namespace: string;
  readonly content: string;
  readonly body: Uint8Array | undefined;
}

/** A lease as the worker gives it back. */
export interface LeaseRow {
  readonly row: RecordRow;
  readonly receipt: string;
}

/** What each operation is asked with and answered by. */
export interface QueueCalls {
  enqueue: [
    { readonly rows: readonly ItemRow[]; readonly perNamespace: number | undefined },
    /** Null for what is accepted under its own id, and instead of nothing but that, which is nearly all. */
    readonly (Enqueued | null)[] | null,
  ];
  lease: [LeaseRequest, { readonly leases: readonly LeaseRow[]; readonly nextAt: number | undefined }];
  extend: [{ readonly receipts: readonly string[]; readonly untilAt: number }, readonly boolean[]];
  settle: [{ readonly settlements: readonly SettlementRow[]; readonly bytes: Bytes }, readonly boolean[]];
  reclaim: [{ readonly now: number; readonly owners: readonly string[] | undefined }, readonly string[]];
  cancel: [{ readonly id: string; readonly now: number; readonly message: string }, Cancelled];
  get: [{ readonly id: string }, RecordRow | undefined];
  list: [RecordQuery, readonly RecordRow[]];
  lanes: [object, readonly LaneStats[]];
  count: [{ readonly namespace: string }, Readonly<Record<InvocationState, number>>];
  hasQueued: [{ readonly namespace: string; readonly name: string; readonly qualifier: string }, boolean];
  redrive: [
    { readonly pairs: readonly { readonly id: string; readonly newId: string }[]; readonly now: number },
    readonly boolean[],
  ];
  purge: [{ readonly ids: readonly string[] }, readonly boolean[]];
  forget: [{ readonly retention: Retention; readonly now: number; readonly max: number }, number];
  clear: [{ readonly namespace: string; readonly max: number }, number];
  filesInUse: [{ readonly digests: readonly string[] }, readonly string[]];
}

/** Memory that holds the bodies of an operation; it goes over to the worker. Absent when there are none. */
export type Bytes = ArrayBuffer | undefined;

/** One operation as the worker thread gets it. */
export type QueueOperation = {
  [Kind in keyof QueueCalls]: { readonly kind: Kind; readonly ask: QueueCalls[Kind][0] };
}[keyof QueueCalls];

/** What one operation came to; which it is goes by the operation. */
export type QueueResult = QueueCalls[keyof QueueCalls][1];

/** The answer that is kept, without its bytes. */
export type ResultNote = Omit<StoredResult, 'body'> & { readonly body: PayloadNote };
