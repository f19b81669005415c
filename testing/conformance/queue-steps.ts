import type { Lease, Queue, QueueRecord, Settlement } from '../../packages/server/src/store/queue.ts';
import { attempt, LANE } from './queue-items.ts';

/** Who leases where a test does not say. */
export const OWNER = 'run-1';

/** Leases what a lane has. */
export const lease = async (queue: Queue, max = 100, now = 2000, lane = LANE): Promise<readonly Lease[]> =>
  (await queue.lease({ lane, max, now, untilAt: now + 1000, owner: OWNER })).leases;
/** The ids of what is leased. */
export const leased = async (queue: Queue, max = 100, now = 2000): Promise<readonly string[]> =>
  (await lease(queue, max, now)).map(({ record }) => record.id);
/** Leases one item. Throws where there is none. */
export const one = async (queue: Queue, now = 2000): Promise<Lease> => {
  const [first] = await lease(queue, 1, now);
  if (!first) throw new Error('nothing was leased');
  return first;
};
/** Ends an attempt; whether that counted. */
export const settle = async (queue: Queue, held: Lease, next: Settlement['next'], more: Partial<Settlement> = {}) =>
  (await queue.settle([{ receipt: held.receipt, attempt: attempt(held.attempt), now: 3000, next, ...more }]))[0];
/** Ends an attempt with success. */
export const succeed = (queue: Queue, held: Lease) => settle(queue, held, { kind: 'succeeded' });
/** Gives a call up. */
export const bury = (queue: Queue, held: Lease, now = 3000) =>
  settle(queue, held, { kind: 'dead', reason: 'attempts', message: 'failed 5 times', counts: true }, { now });
/** A record that must be there. */
export const record = async (queue: Queue, id: string): Promise<QueueRecord> => {
  const found = await queue.get(id);
  if (!found) throw new Error(`"${id}" is not there`);
  return found;
};
/** The ids of records, in their order. */
export const ids = (records: readonly QueueRecord[]): readonly string[] => records.map(({ id }) => id);
