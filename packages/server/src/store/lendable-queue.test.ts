import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newItem } from '../../../../testing/conformance/queue-items.ts';
import { queueConformance } from '../../../../testing/conformance/queue.ts';
import { openLendableQueue } from './lendable-queue.ts';
import { createMemoryQueue } from './memory/memory-queue.ts';
import { createSqliteQueue } from './sqlite/sqlite-queue.ts';

queueConformance('memory that can be lent', async () => ({
  queue: await openLendableQueue(async () => createMemoryQueue()),
}));

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
