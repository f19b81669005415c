import type { AttemptResource, InvocationState } from '@ebb/contract';
import { type Held, type HeldLease, isOpen } from '../fold-held.ts';
import type { NewItem, Payload, QueueRecord } from '../queue.ts';
import { createPacker, unpack } from './encode-message.ts';
import type { Stored } from './journal.ts';

type Message = Omit<Stored, 'seq'>;
type FileBody = Extract<Payload, { readonly kind: 'file' }>;

/** What an index needs of a call, from when it was accepted. */
interface ItemHead extends Pick<
  QueueRecord,
  'namespace' | 'lane' | 'target' | 'acceptedAt' | 'runAt' | 'expiresAt' | 'priority' | 'rules' | 'nextAt'
> {
  readonly isDue: boolean;
  readonly slotAt?: number | undefined;
  readonly file?: FileBody | undefined;
}

/** What an index needs of what has become of a call. */
interface StateHead extends Pick<QueueRecord, 'begun' | 'failures' | 'nextAt' | 'endedAt'> {
  readonly state: InvocationState;
  readonly fence: number;
  readonly isDue: boolean;
  readonly lease?: HeldLease | undefined;
  readonly slotAt?: number | undefined;
  readonly dead?: Omit<NonNullable<QueueRecord['dead']>, 'message'> | undefined;
  /** How many attempts the body lists. */
  readonly attempts: number;
  readonly file?: FileBody | undefined;
  /** Files of items that are still to be queued because of this one. */
  readonly follow?: readonly string[] | undefined;
}

/** The rest of what has become of a call. */
export interface StateBody {
  readonly state: Pick<QueueRecord, 'attempts' | 'result' | 'dead' | 'cancelled'>;
  /** Items that are still to be queued because of this one. */
  readonly follow: readonly NewItem[];
}

/** As it stands in a message, with bodies that are packed. */
type PackedState = Partial<StateBody['state'] & Pick<StateBody, 'follow'>>;

/** What a state says to an index. */
export interface StateSummary {
  readonly held: Held;
  /** Whether `held` lacks its attempts. */
  readonly hasMore: boolean;
  /** Files of items that are still to be queued; undefined when there are none. */
  readonly follow: readonly string[] | undefined;
}

/** The rest of what was accepted. */
type ItemBody = Pick<QueueRecord, 'method' | 'path' | 'headers' | 'body' | 'origin' | 'callbacks'>;

const NO_TEXT: readonly string[] = [];
const NO_ATTEMPTS: readonly AttemptResource[] = [];
const NO_BODY: Payload = { kind: 'none' };

/** The message that says that a call is forgotten. */
export const GONE: Message = { head: JSON.stringify({ gone: true }), body: new Uint8Array() };

/** A call as an index holds it: without what only its holder needs. Attempts stay as long as it is open. */
export function slim(held: Held): Held {
  const { record } = held;
  const { id, seq, namespace, lane, target, acceptedAt, runAt, expiresAt, priority, rules, state } = record;
  const { begun, failures, nextAt, endedAt, dead, attempts, body, result } = record;
  return {
    ...held,
    record: {
      id,
      seq,
      namespace,
      lane,
      target,
      acceptedAt,
      runAt,
      expiresAt,
      priority,
      state,
      begun,
      failures,
      method: '',
      path: '',
      headers: NO_TEXT,
      body: fileOf(body) ?? NO_BODY,
      attempts: isOpen(record) && attempts.length > 0 ? attempts : NO_ATTEMPTS,
      ...(rules && { rules }),
      ...(nextAt !== undefined && { nextAt }),
      ...(endedAt !== undefined && { endedAt }),
      ...(dead && { dead: { ...dead, message: '' } }),
      ...(result && fileOf(result.body) && { result: { status: 0, headers: NO_TEXT, body: result.body } }),
    },
  };
}

/** The message a call is accepted with. */
export function encodeItem({ record, isDue, slotAt }: Held): Message {
  const { namespace, lane, target, acceptedAt, runAt, expiresAt, priority, rules, nextAt } = record;
  const { method, path, headers, body, origin, callbacks } = record;
  const head: ItemHead = {
    namespace,
    lane,
    target,
    acceptedAt,
    runAt,
    expiresAt,
    priority,
    rules,
    nextAt,
    isDue,
    slotAt,
    file: fileOf(body),
  };
  const packer = createPacker();
  const value = { method, path, headers, body: packer.body(body), origin, callbacks };
  return { head: JSON.stringify(head), body: packer.finish(value) };
}

/** A call as it was accepted, for an index. */
export function decodeItemHead(id: string, seq: number, head: string): Held {
  const { isDue, slotAt, file, ...kept } = JSON.parse(head) as ItemHead;
  return {
    record: {
      ...kept,
      id,
      seq,
      method: '',
      path: '',
      headers: NO_TEXT,
      body: file ?? NO_BODY,
      state: 'queued',
      attempts: NO_ATTEMPTS,
      begun: 0,
      failures: 0,
    },
    fence: 0,
    isDue,
    ...(slotAt !== undefined && { slotAt }),
  };
}

/** Puts what an index leaves out of an accepted call back into its record. */
export function withItem(record: QueueRecord, message: Uint8Array): QueueRecord {
  const { value, body } = unpack(message);
  const item = value as ItemBody;
  return { ...record, ...item, body: body(item.body) };
}

/** The message for what has become of a call. */
export function encodeState({ record, ...held }: Held, follow: readonly NewItem[] = []): Message {
  const { state, begun, failures, nextAt, endedAt, dead, attempts, result, cancelled } = record;
  const head: StateHead = {
    state,
    begun,
    failures,
    nextAt,
    endedAt,
    attempts: attempts.length,
    ...held,
    ...(dead && { dead: { reason: dead.reason, redrivenAs: dead.redrivenAs } }),
    ...(result && { file: fileOf(result.body) }),
    ...(follow.length > 0 && { follow: follow.flatMap(({ body }) => fileOf(body)?.digest ?? []) }),
  };
  const packer = createPacker();
  const value = {
    attempts,
    dead,
    cancelled,
    ...(result && { result: packer.result(result) }),
    ...(follow.length > 0 && { follow: follow.map((item) => ({ ...item, body: packer.body(item.body) })) }),
  };
  return { head: JSON.stringify(head), body: packer.finish(value) };
}

/** What has become of a call that is not forgotten, for an index that has it in an earlier state. */
export function decodeStateHead({ record }: Held, text: string): StateSummary {
  const { state, begun, failures, nextAt, endedAt, dead, attempts, file, follow, ...held } = JSON.parse(
    text,
  ) as StateHead;
  const { nextAt: _, ...accepted } = record;
  return {
    held: {
      ...held,
      record: {
        ...accepted,
        state,
        begun,
        failures,
        ...(nextAt !== undefined && { nextAt }),
        ...(endedAt !== undefined && { endedAt }),
        ...(dead && { dead: { ...dead, message: '' } }),
        ...(file && { result: { status: 0, headers: NO_TEXT, body: file } }),
      },
    },
    hasMore: attempts > 0,
    follow,
  };
}

/** The rest of what has become of a call. */
export function decodeStateBody(message: Uint8Array): StateBody {
  const { value, body, result } = unpack(message);
  const { attempts = NO_ATTEMPTS, dead, cancelled, result: packed, follow = [] } = value as PackedState;
  return {
    state: {
      attempts,
      ...(dead && { dead }),
      ...(cancelled !== undefined && { cancelled }),
      ...(packed && { result: result(packed) }),
    },
    follow: follow.map((item) => ({ ...item, body: body(item.body) })),
  };
}

function fileOf(body: Payload): FileBody | undefined {
  return body.kind === 'file' ? body : undefined;
}
