import { expect, test } from 'vitest';
import { newItem } from '../../../../testing/conformance/queue-items.ts';
import { createMemoryQueue } from '../store/memory/memory-queue.ts';
import type { Settlement } from '../store/queue.ts';
import { answerSettling, createRemoteSettling, createSwitchedSettling } from './settling.ts';

test('what one server has begun, another writes down for it: bytes, follow-ups and fences included (A4)', async () => {
  await using queue = createMemoryQueue();
  const settling = createSwitchedSettling({
    settle: () => Promise.reject(new Error('given away')),
    extend: () => Promise.reject(new Error('given away')),
  });
  const texts: string[] = [];
  settling.use(
    createRemoteSettling((text) => {
      texts.push(text);
      return answerSettling(queue, text);
    }),
  );
  await queue.enqueue([newItem('a')]);
  const { leases } = await queue.lease({ lane: 'acme/resize', max: 1, now: 2000, untilAt: 3000, owner: 'old' });
  const receipt = leases[0]?.receipt ?? '';
  expect(await settling.extend([receipt, 'a:99'], 9000)).toEqual([true, false]);
  expect(await queue.reclaim({ now: 5000 })).toEqual([]);
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const settlement: Settlement = {
    receipt,
    now: 4000,
    next: {
      kind: 'succeeded',
      result: { status: 200, headers: ['A', '{"$bytes":"x"}'], body: { kind: 'bytes', bytes: Buffer.from(bytes) } },
    },
    follow: [newItem('b', { body: { kind: 'bytes', bytes } })],
  };
  expect(await settling.settle([settlement])).toEqual([true]);
  expect(await settling.settle([settlement])).toEqual([false]);
  const record = await queue.get('a');
  expect(record?.state).toBe('succeeded');
  expect(record?.result).toEqual({ status: 200, headers: ['A', '{"$bytes":"x"}'], body: { kind: 'bytes', bytes } });
  expect((await queue.get('b'))?.body).toEqual({ kind: 'bytes', bytes });
  expect(texts.every((text) => !text.includes('\n'))).toBe(true);
});
