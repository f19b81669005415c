import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newItem } from '../../../../../testing/conformance/queue-items.ts';
import { queueConformance } from '../../../../../testing/conformance/queue.ts';
import type { Queue } from '../queue.ts';
import { migrate } from './migrate.ts';
import { QUEUE_FILE } from './queue-file.ts';
import { createSqliteQueue, queueOn } from './sqlite-queue.ts';

let folder = '';
let opened = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ebb-queue-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

queueConformance(
  'sqlite',
  async () => {
    const path = join(folder, `${(opened += 1)}`, 'queue.db');
    return { queue: await createSqliteQueue({ path }), reopen: () => createSqliteQueue({ path }) };
  },
  { openForModel: async () => openInMemory() },
);

test('a lease finds what an enqueue just before it queues, and both are on disk once it resolves (A1, A3)', async () => {
  const path = join(folder, `${(opened += 1)}`, 'queue.db');
  const item = newItem('a');
  {
    await using queue = await createSqliteQueue({ path });
    expect(queue.leasesWhatIsQueued).toBe(true);
    const ask = { lane: item.lane, max: 5, now: item.runAt, untilAt: item.runAt + 1000, owner: 'o' };
    const [enqueued, { leases }] = await Promise.all([queue.enqueue([item]), queue.lease(ask)]);
    expect(enqueued).toEqual([{ kind: 'accepted', id: 'a' }]);
    expect(leases).toMatchObject([{ record: { id: 'a' }, attempt: 1 }]);
  }
  await using queue = await createSqliteQueue({ path });
  expect(await queue.get('a')).toMatchObject({ state: 'running', begun: 1 });
});

/** The same tables and statements without a thread and a disk, so that many histories take seconds. */
function openInMemory(): Queue {
  const database = new DatabaseSync(':memory:');
  migrate(database, QUEUE_FILE.schema);
  const { perform } = QUEUE_FILE.connect(database);
  return queueOn({
    ask: async (operation) => structuredClone(perform(structuredClone(operation))),
    [Symbol.asyncDispose]: async () => database.close(),
  });
}
