import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { newItem } from '../../../../testing/conformance/queue-items.ts';
import { createMemoryQueue } from '../store/memory/memory-queue.ts';
import { startHousekeeping } from './housekeeping.ts';
import { createPayloadFiles } from './payload-files.ts';

test('calls that ended are forgotten when their time is over, many of them too, and failures are said once', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const directory = await mkdtemp(join(tmpdir(), 'ebb-keep-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const queue = createMemoryQueue();
  const items = Array.from({ length: 2_500 }, (_, i) => newItem(`c${i}`));
  await queue.enqueue([...items, newItem('waits')]);
  for (const { id } of items) await queue.cancel(id, { now: 5_000, message: 'no' });
  let now = 5_000;
  let isFailing = true;
  const said: string[] = [];
  await using _keeper = startHousekeeping({
    queue: {
      ...queue,
      forget: (...given) => (isFailing ? Promise.reject(new Error('the disk is gone')) : queue.forget(...given)),
    },
    files: createPayloadFiles({ directory, maxBytes: 1 }),
    clock: { now: () => now },
    logger: { error: (_details: unknown, message?: string) => void said.push(message ?? '') },
    keptMs: 1_000,
    deadKeptMs: 1_000,
  });
  const turn = async (): Promise<void> => {
    await vi.advanceTimersByTimeAsync(10_000);
    for (let i = 0; i < 50; i += 1) await Promise.resolve();
  };
  await turn();
  await turn();
  expect(said).toEqual(['old asynchronous calls could not be cleared away']);
  isFailing = false;
  await turn();
  expect((await queue.count('acme')).cancelled).toBe(2_500);
  now = 6_001;
  await turn();
  expect(await queue.count('acme')).toMatchObject({ cancelled: 0, queued: 1 });
});
