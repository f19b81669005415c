import type { Transferable } from 'node:worker_threads';
import type { ItemRow, QueueOperation } from './queue-protocol.ts';

/** Up to this size it is cheaper to copy bodies than to hand their memory over. */
const COPIED_BYTES = 65_536;
/** Numbers of each item in {@link Enqueues.numbers}. */
const PER_ITEM = 6;
const NO_BODY = -1;

type Enqueue = Extract<QueueOperation, { kind: 'enqueue' }>;
/** What few items have. */
type Seldom = Pick<ItemRow, 'rules' | 'idempotency' | 'pin' | 'file'>;

/**
 * Enqueues that follow each other, by columns: sent as an object each they would take longer on their way to the thread
 * of the file than that takes to write them.
 */
interface Enqueues {
  readonly kind: 'enqueues';
  /** Of each operation: how many items it has, and `perNamespace`, NaN for none. */
  readonly asks: Float64Array;
  /** Namespace and name of each lane, by turns. */
  readonly lanes: readonly string[];
  /** Id and content of each item, by turns. */
  readonly texts: readonly string[];
  /** Of each item: place of its lane in {@link lanes}, priority, `acceptedAt`, `runAt`, `expiresAt`, and bytes of its body. */
  readonly numbers: Float64Array;
  readonly seldom: readonly (readonly [index: number, Seldom])[];
  /** All bodies, one after the other. */
  readonly bodies: Uint8Array;
}

/** An operation on its way to the thread. */
export type WireOperation = Exclude<QueueOperation, Enqueue> | Enqueues;

/** Puts operations into the form that they are sent in, with the memory that goes over instead of being copied. */
export function packOperations(operations: readonly QueueOperation[]): {
  readonly operations: readonly WireOperation[];
  readonly transfer: readonly Transferable[];
} {
  const packed: WireOperation[] = [];
  let run: Enqueue[] = [];
  const endRun = () => {
    if (run.length > 0) packed.push(packEnqueues(run));
    run = [];
  };
  for (const operation of operations) {
    if (operation.kind === 'enqueue') {
      run.push(operation);
      continue;
    }
    endRun();
    packed.push(operation);
  }
  endRun();
  return { operations: packed, transfer: packed.flatMap(memoryOf) };
}

/** The operations that {@link packOperations} was given. */
export function unpackOperations(packed: readonly WireOperation[]): readonly QueueOperation[] {
  return packed.flatMap<QueueOperation>((one) => (one.kind === 'enqueues' ? unpackEnqueues(one) : one));
}

function memoryOf(operation: WireOperation): readonly Transferable[] {
  const buffer =
    operation.kind === 'enqueues'
      ? operation.bodies.buffer
      : operation.kind === 'settle'
        ? operation.ask.bytes
        : undefined;
  return buffer instanceof ArrayBuffer && buffer.byteLength > COPIED_BYTES ? [buffer] : [];
}

function packEnqueues(run: readonly Enqueue[]): Enqueues {
  const rows = run.flatMap(({ ask }) => ask.rows);
  const asks = new Float64Array(run.length * 2);
  for (const [i, { ask }] of run.entries()) asks.set([ask.rows.length, ask.perNamespace ?? Number.NaN], i * 2);
  const numbers = new Float64Array(rows.length * PER_ITEM);
  const bodies = new Uint8Array(rows.reduce((all, { body }) => all + (body?.byteLength ?? 0), 0));
  const texts: string[] = [];
  const lanes: string[] = [];
  const places = new Map<string, number>();
  const seldom: [number, Seldom][] = [];
  let bodiesEnd = 0;
  for (const [i, row] of rows.entries()) {
    const { id, content, body, lane, namespace, rules, idempotency, pin, file } = row;
    let place = places.get(lane);
    if (place === undefined) {
      place = lanes.length;
      places.set(lane, place);
      lanes.push(lane, namespace);
    }
    texts.push(id, content);
    const at = i * PER_ITEM;
    numbers[at] = place;
    numbers[at + 1] = row.priority;
    numbers[at + 2] = row.acceptedAt;
    numbers[at + 3] = row.runAt;
    numbers[at + 4] = row.expiresAt;
    numbers[at + 5] = body?.byteLength ?? NO_BODY;
    if (body) {
      bodies.set(body, bodiesEnd);
      bodiesEnd += body.byteLength;
    }
    if (rules ?? idempotency ?? pin ?? file) seldom.push([i, { rules, idempotency, pin, file }]);
  }
  return { kind: 'enqueues', asks, lanes, texts, numbers, seldom, bodies };
}

function unpackEnqueues({ asks, lanes, texts, numbers, seldom, bodies }: Enqueues): readonly Enqueue[] {
  const more = new Map(seldom);
  let bodiesEnd = 0;
  const rowAt = (i: number): ItemRow => {
    const numberAt = (nth: number) => numbers[i * PER_ITEM + nth] ?? Number.NaN;
    const textAt = (from: readonly string[], place: number) => from[place] ?? '';
    const bytes = numberAt(5);
    const body = bytes === NO_BODY ? undefined : bodies.subarray(bodiesEnd, bodiesEnd + bytes);
    bodiesEnd += body?.byteLength ?? 0;
    return {
      id: textAt(texts, i * 2),
      lane: textAt(lanes, numberAt(0)),
      namespace: textAt(lanes, numberAt(0) + 1),
      priority: numberAt(1),
      acceptedAt: numberAt(2),
      runAt: numberAt(3),
      expiresAt: numberAt(4),
      content: textAt(texts, i * 2 + 1),
      body,
      ...more.get(i),
    };
  };
  const enqueues: Enqueue[] = [];
  let next = 0;
  for (let i = 0; i < asks.length; i += 2) {
    const rows: ItemRow[] = [];
    for (const end = next + (asks[i] ?? 0); next < end; next += 1) rows.push(rowAt(next));
    const perNamespace = asks[i + 1] ?? Number.NaN;
    enqueues.push({
      kind: 'enqueue',
      ask: { rows, perNamespace: Number.isNaN(perNamespace) ? undefined : perNamespace },
    });
  }
  return enqueues;
}
