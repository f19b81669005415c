import { OUTCOME_INLINE_BYTES, type LeasedItem } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import type { OutcomeQueues } from '../core/ports.ts';
import type { Lease, Queue, Settlement } from '../store/queue.ts';
import { contentTypeOf } from './accept.ts';
import { sizeOf } from './show-invocation.ts';

/** An outcome with two bodies written into it is larger than each of them, and is sent along all the same. */
const INLINE_BYTES = 4 * OUTCOME_INLINE_BYTES;

/** What the service of queues is made with. */
export interface OutcomeQueuesOptions {
  readonly queue: Pick<Queue, 'lanes' | 'lease' | 'settle'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Whose the leases are: this run of the server. What it leased comes again after a restart. */
  readonly owner: string;
}

/** The lane of a queue that is read over the API. */
export function queueLane(namespace: string, name: string): string {
  return `${namespace}/queue:${name}`;
}

/** Makes the service behind the routes of queues. An item is given out at least once: again unless it is acknowledged in time. */
export function createOutcomeQueues(options: OutcomeQueuesOptions): OutcomeQueues {
  const { queue, clock, owner } = options;
  /** When the leases of receipts began, for the record of the attempt; those of an earlier run are not known. */
  const begun = new Map<
    string,
    { readonly lane: string; readonly attempt: number; readonly at: number; readonly untilAt: number }
  >();

  const forgetOver = (now: number): void => {
    for (const [receipt, { untilAt }] of begun) if (untilAt <= now) begun.delete(receipt);
  };

  const settle = async (
    namespace: string,
    name: string,
    receipts: readonly string[],
    settlementOf: (receipt: string, now: number) => Settlement,
  ) => {
    const now = clock.now();
    const lane = queueLane(namespace, name);
    const wanted = [...new Set(receipts)];
    const own = wanted.filter((receipt) => begun.get(receipt)?.lane === lane);
    const done = await queue.settle(own.map((receipt) => settlementOf(receipt, now)));
    for (const receipt of own) begun.delete(receipt);
    const count = done.filter(Boolean).length;
    return { count, late: wanted.length - count };
  };

  return {
    async list(namespace) {
      const prefix = queueLane(namespace, '');
      const lanes = (await queue.lanes()).filter(({ lane }) => lane.startsWith(prefix));
      return lanes
        .map(({ lane, queued, running, oldestAt }) => ({
          name: lane.slice(prefix.length),
          waiting: queued,
          taken: running,
          ...(oldestAt === undefined ? {} : { oldestAt: new Date(oldestAt).toISOString() }),
        }))
        .toSorted((left, right) => (left.name < right.name ? -1 : 1));
    },

    async lease(namespace, name, { max, forMs }) {
      const now = clock.now();
      forgetOver(now);
      const untilAt = now + forMs;
      const lane = queueLane(namespace, name);
      const { leases } = await queue.lease({ lane, max, now, untilAt, owner });
      for (const { receipt, attempt } of leases) begun.set(receipt, { lane, attempt, at: now, untilAt });
      return leases.map((lease) => show(lease, untilAt));
    },

    ack: (namespace, name, receipts) =>
      settle(namespace, name, receipts, (receipt, now) => {
        const lease = begun.get(receipt);
        return {
          receipt,
          now,
          attempt: {
            number: lease?.attempt ?? 1,
            startedAt: new Date(lease?.at ?? now).toISOString(),
            endedAt: new Date(now).toISOString(),
            end: 'succeeded',
          },
          next: { kind: 'succeeded' },
        };
      }),

    release: (namespace, name, receipts) =>
      settle(namespace, name, receipts, (receipt, now) => ({
        receipt,
        now,
        next: { kind: 'retry', at: now, counts: false },
      })),
  };
}

function show({ record, receipt, attempt }: Lease, untilAt: number): LeasedItem {
  const { id, body, headers, acceptedAt, origin } = record;
  const contentType = contentTypeOf(headers);
  const isInline = body.kind === 'bytes' && body.bytes.length <= INLINE_BYTES;
  return {
    id,
    receipt,
    attempt,
    enqueuedAt: new Date(acceptedAt).toISOString(),
    until: new Date(untilAt).toISOString(),
    ...(contentType === undefined ? {} : { contentType }),
    sizeBytes: sizeOf(body),
    ...(isInline ? { base64: Buffer.from(body.bytes).toString('base64') } : {}),
    path: `/v1/invocations/${id}/payload`,
    ...(origin === undefined ? {} : { origin }),
  };
}
