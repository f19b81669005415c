import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { queueConformance } from '../../../../../testing/conformance/queue.ts';
import { createSqliteQueue } from './sqlite-queue.ts';

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
  { histories: 60 },
);
