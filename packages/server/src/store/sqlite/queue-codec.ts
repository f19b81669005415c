import type { NewItem, Payload, QueueRecord, Settlement, StoredResult, Target } from '../queue.ts';
import type { Bytes, ItemRow, PayloadNote, RecordRow, SettlementRow } from './queue-protocol.ts';

/** What is kept of an item as text; it never changes. */
type ItemContent = Pick<QueueRecord, 'target' | 'method' | 'path' | 'headers' | 'runAt' | 'origin' | 'callbacks'> & {
  readonly body: PayloadNote;
};

/** Bodies packed into one piece of memory of their own, which can go over to the worker. */
interface Packer {
  readonly bytes: Bytes;
  /** The same bytes in that memory. */
  readonly put: (bytes: Uint8Array) => Uint8Array;
}

/** Rows for settlements. */
export function packSettlements(settlements: readonly Settlement[]): {
  readonly settlements: readonly SettlementRow[];
  readonly bytes: Bytes;
} {
  const payloads = settlements.flatMap(({ next, follow }) => [
    ...('result' in next && next.result ? [next.result.body] : []),
    ...(follow ?? []).map(({ body }) => body),
  ]);
  const { put, bytes } = createPacker(payloads);
  const rows = settlements.map(({ follow, next, ...rest }) => ({
    ...rest,
    next: 'result' in next && next.result ? { ...next, result: packResult(next.result, put) } : next,
    follow: (follow ?? []).map((item) => asItemRow(item, put)),
  }));
  return { settlements: rows, bytes };
}

/** One new item as a row; `put` places the bytes of its body. */
export function asItemRow(item: NewItem, put: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes): ItemRow {
  const { target, method, path, headers, runAt, origin, callbacks, body } = item;
  const note: PayloadNote = body.kind === 'bytes' ? { kind: 'bytes' } : body;
  const content: ItemContent = { target, method, path, headers, runAt, origin, callbacks, body: note };
  const pin = pinOf(target);
  return {
    id: item.id,
    namespace: item.namespace,
    lane: item.lane,
    priority: item.priority,
    acceptedAt: item.acceptedAt,
    runAt,
    expiresAt: item.expiresAt,
    content: JSON.stringify(content),
    // What is not there is left out: each name costs on its way over.
    ...(item.rules && { rules: item.rules }),
    ...(item.idempotency && { idempotency: item.idempotency }),
    ...(pin !== undefined && { pin }),
    ...(body.kind === 'bytes' && { body: put(body.bytes) }),
    ...(body.kind === 'file' && { file: body.digest }),
  };
}

/** The record that a row stands for. */
export function asRecord({ hot, lane, namespace, content, body }: RecordRow): QueueRecord {
  const { body: note, ...rest } = JSON.parse(content) as ItemContent;
  return { ...rest, ...hot, lane, namespace, body: asPayload(note, body) };
}

/** Text that a qualifier of a function is found by. */
export function pinOf(target: Target): string | undefined {
  if (target.kind !== 'function' || target.qualifier === '') return undefined;
  return `${target.namespace}/${target.name}${target.qualifier}`;
}

/** A payload from its note and its bytes. */
export function asPayload(note: PayloadNote, bytes: Uint8Array | undefined): Payload {
  if (note.kind !== 'bytes') return note;
  return bytes === undefined ? { kind: 'none' } : { kind: 'bytes', bytes };
}

function packResult(result: StoredResult, put: Packer['put']): StoredResult {
  return result.body.kind === 'bytes' ? { ...result, body: { kind: 'bytes', bytes: put(result.body.bytes) } } : result;
}

function createPacker(payloads: readonly Payload[]): Packer {
  let size = 0;
  for (const payload of payloads) size += payload.kind === 'bytes' ? payload.bytes.byteLength : 0;
  if (size === 0) return { bytes: undefined, put: () => new Uint8Array(0) };
  const bytes = new ArrayBuffer(size);
  let at = 0;
  return {
    bytes,
    put(source) {
      const place = new Uint8Array(bytes, at, source.byteLength);
      place.set(source);
      at += source.byteLength;
      return place;
    },
  };
}
