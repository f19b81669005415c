import { describe, expect, test } from 'vitest';
import { newItem } from '../../../../testing/conformance/queue-items.ts';
import { createMemoryQueue } from '../store/memory/memory-queue.ts';
import { createOutcomeQueues, queueLane } from './outcome-queues.ts';

async function open(count: number) {
  const time = { now: 5_000 };
  const queue = createMemoryQueue();
  const target = { kind: 'queue', namespace: 'acme', name: 'done' } as const;
  const items = Array.from({ length: count }, (_, index) =>
    newItem(`q${index}`, {
      lane: queueLane('acme', 'done'),
      target,
      body: { kind: 'bytes', bytes: Buffer.from('{}') },
    }),
  );
  await queue.enqueue(items);
  const queues = createOutcomeQueues({ queue, clock: { now: () => time.now }, owner: 'run-1' });
  return { time, queue, queues };
}

describe('createOutcomeQueues', () => {
  test('gives out the oldest first, to one reader at a time, until they are acknowledged', async () => {
    const { queue, queues } = await open(3);
    const first = await queues.lease('acme', 'done', { max: 2, forMs: 1_000 });
    expect(first).toMatchObject([
      { id: 'q0', attempt: 1, contentType: 'text/plain', sizeBytes: 2, base64: 'e30=' },
      { id: 'q1', until: new Date(6_000).toISOString(), path: '/v1/invocations/q1/payload' },
    ]);
    expect((await queues.lease('acme', 'done', { max: 9, forMs: 1_000 })).map(({ id }) => id)).toEqual(['q2']);
    expect(await queues.list('acme')).toMatchObject([{ name: 'done', waiting: 0, taken: 3 }]);
    const receipts = first.map(({ receipt }) => receipt);
    expect(await queues.ack('acme', 'done', receipts)).toEqual({ count: 2, late: 0 });
    expect(await queues.ack('acme', 'done', receipts)).toEqual({ count: 0, late: 2 });
    expect((await queue.get('q0'))?.state).toBe('succeeded');
  });

  test('A4: a receipt whose lease ran out does not count any more', async () => {
    const { time, queue, queues } = await open(1);
    const [late] = await queues.lease('acme', 'done', { max: 1, forMs: 1_000 });
    time.now += 1_001;
    await queue.reclaim({ now: time.now });
    const [again] = await queues.lease('acme', 'done', { max: 1, forMs: 1_000 });
    expect(again).toMatchObject({ id: 'q0', attempt: 2 });
    expect(await queues.ack('acme', 'done', [late?.receipt ?? ''])).toEqual({ count: 0, late: 1 });
    expect(await queues.ack('acme', 'done', [again?.receipt ?? ''])).toEqual({ count: 1, late: 0 });
  });

  test('what is given back comes again at once', async () => {
    const { queues } = await open(1);
    const [taken] = await queues.lease('acme', 'done', { max: 1, forMs: 60_000 });
    expect(await queues.release('acme', 'done', [taken?.receipt ?? ''])).toEqual({ count: 1, late: 0 });
    expect(await queues.lease('acme', 'done', { max: 1, forMs: 1_000 })).toMatchObject([{ id: 'q0' }]);
  });

  test('T3: a receipt counts in its own queue only', async () => {
    const { queues } = await open(1);
    const [taken] = await queues.lease('acme', 'done', { max: 1, forMs: 60_000 });
    expect(await queues.ack('other', 'done', [taken?.receipt ?? ''])).toEqual({ count: 0, late: 1 });
    expect(await queues.lease('other', 'done', { max: 1, forMs: 1_000 })).toEqual([]);
    expect(await queues.list('other')).toEqual([]);
  });
});
