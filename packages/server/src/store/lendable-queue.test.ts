import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { queueConformance } from '../../../../testing/conformance/queue.ts';
import { newItem } from '../../../../testing/conformance/queue-items.ts';
import { openLendableQueue } from './lendable-queue.ts';
import { createMemoryQueue } from './memory/memory-queue.ts';
import type { Queue } from './queue.ts';
import { createSqliteQueue } from './sqlite/sqlite-queue.ts';

const open = () => Promise.resolve(createMemoryQueue());

queueConformance('memory that can be lent', async () => ({ queue: await openLendableQueue(open) }));

test('is closed only once nothing is done with it any more, and what comes meanwhile waits', async () => {
  const { promise: isWritten, resolve: write } = Promise.withResolvers<void>();
  const order: string[] = [];
  const slow = (): Queue => {
    const queue = createMemoryQueue();
    return {
      ...queue,
      enqueue: async (items, limits) => {
        await isWritten;
        order.push('written');
        return queue.enqueue(items, limits);
      },
      [Symbol.asyncDispose]: async () => void order.push('closed'),
    };
  };
  const queue = await openLendableQueue(() => Promise.resolve(slow()));
  const enqueued = queue.enqueue([newItem('a')]);
  const lent = queue.lend().then(() => order.push('lent'));
  const later = queue.enqueue([newItem('b')]).then(() => order.push('later'));
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(order).toEqual([]);
  write();
  expect(await enqueued).toEqual([{ kind: 'accepted', id: 'a' }]);
  await lent;
  expect(order).toEqual(['written', 'closed', 'lent']);
  await queue.takeBack();
  await later;
  await queue.lend();
  const refused = queue.get('a');
  queue.giveAway(new Error('another server has it'));
  await expect(refused).rejects.toThrow('another server has it');
});

test('tells which lanes have work, whatever queued it', async () => {
  await using queue = await openLendableQueue(open);
  const told: (readonly string[] | undefined)[] = [];
  using _watching = queue.onWork((lanes) => told.push(lanes));
  await queue.enqueue([newItem('a'), newItem('b'), newItem('c', { lane: 'acme/other' })]);
  const { leases } = await queue.lease({ lane: 'acme/resize', max: 2, now: 2000, untilAt: 3000, owner: 'o' });
  const [first, second] = leases.map(({ receipt }) => receipt);
  await queue.settle([
    { receipt: first ?? '', now: 2000, next: { kind: 'succeeded' }, follow: [newItem('d', { lane: 'acme/queue:q' })] },
    { receipt: second ?? '', now: 2000, next: { kind: 'dead', reason: 'status', message: 'no', counts: true } },
  ]);
  await queue.redrive([{ id: 'b', newId: 'e' }], 3000);
  expect(told).toEqual([['acme/resize', 'acme/other'], ['acme/queue:q'], undefined]);
});

test('tells before it queues where a lease finds that, but not while it is lent', async () => {
  const order: string[] = [];
  const ordered = (): Queue => {
    const queue = createMemoryQueue();
    return {
      ...queue,
      leasesWhatIsQueued: true,
      enqueue: (items, limits) => {
        order.push('queued');
        return queue.enqueue(items, limits);
      },
    };
  };
  await using queue = await openLendableQueue(() => Promise.resolve(ordered()));
  using _watching = queue.onWork(() => order.push('told'));
  await queue.enqueue([newItem('a')]);
  expect(order).toEqual(['told', 'queued']);
  await queue.lend();
  const waiting = queue.enqueue([newItem('b')]);
  expect(order).toEqual(['told', 'queued']);
  await queue.takeBack();
  await waiting;
  expect(order).toEqual(['told', 'queued', 'told', 'queued']);
});

test('calls that come while the file is lent are accepted once it is back, with what another wrote meanwhile', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ebb-lent-'));
  const path = join(folder, 'queue.db');
  try {
    await using queue = await openLendableQueue(() => createSqliteQueue({ path }));
    await queue.enqueue([newItem('a')]);
    await queue.lend();
    let isDone = false;
    const waiting = queue.enqueue([newItem('b')]).then(() => {
      isDone = true;
    });
    {
      await using other = await createSqliteQueue({ path });
      await other.enqueue([newItem('c')]);
    }
    expect(isDone).toBe(false);
    await queue.takeBack();
    await waiting;
    const records = await queue.list({ namespace: 'acme', limit: 10 });
    expect(records.map(({ id }) => id)).toEqual(['b', 'c', 'a']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
