import { describe, expect, test } from 'vitest';
import type { KeyRules, NewItem } from '../../packages/server/src/store/queue.ts';
import { LANE, newItem, type QueueUnderTest } from './queue-items.ts';
import { lease, leased, one, settle, succeed, bury, record, OWNER } from './queue-steps.ts';

const RULES: KeyRules = { key: 'k', order: 'none', throttleMs: 0, debounceMs: 0 };

/** What keys promise: part of what every queue promises; `open` gives a fresh one. */
export function queueKeys(open: () => Promise<QueueUnderTest>): void {
  describe('keys', () => {
    const keyed = (id: string, rules: Partial<KeyRules>, more: Partial<NewItem> = {}) =>
      newItem(id, { rules: { ...RULES, ...rules }, ...more });

    test('strict: one after the other, also while one waits for its retry, and other keys go on', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const strict = { order: 'strict', concurrency: 1 } as const;
      await queue.enqueue([
        keyed('a', strict),
        keyed('b', strict, { priority: 9 }),
        keyed('other', { ...strict, key: 'l' }),
      ]);
      const [a] = await lease(queue);
      expect(await leased(queue)).toEqual([]);
      expect((await record(queue, 'other')).state).toBe('running');
      if (a) await settle(queue, a, { kind: 'retry', at: 8000, counts: true });
      expect(await queue.lease({ lane: LANE, max: 9, now: 4000, untilAt: 9, owner: OWNER })).toEqual({
        leases: [],
        nextAt: 8000,
      });
      const again = await one(queue, 8000);
      expect(again.record.id).toBe('a');
      expect(await leased(queue, 10, 8000)).toEqual([]);
      await bury(queue, again);
      expect(await leased(queue, 10, 8000)).toEqual(['b']);
    });

    test('best-effort: begun in order, but a retry holds nobody up', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const loose = { order: 'best-effort', concurrency: 1 } as const;
      await queue.enqueue([keyed('a', loose), keyed('b', loose, { priority: 9 }), keyed('c', loose)]);
      const a = await one(queue);
      expect(a.record.id).toBe('a');
      await settle(queue, a, { kind: 'retry', at: 8000, counts: true });
      const b = await one(queue);
      expect(b.record.id).toBe('b');
      expect(await leased(queue)).toEqual([]);
      await succeed(queue, b);
      expect(await leased(queue)).toEqual(['c']);
    });

    test('without a limit those in order all go in one lease', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([
        keyed('a', { order: 'best-effort' }),
        keyed('b', { order: 'best-effort' }, { priority: 9 }),
        keyed('c', { order: 'best-effort' }),
      ]);
      expect(await leased(queue)).toEqual(['a', 'b', 'c']);
    });

    test('at most so many of a key run, and one that is cancelled or lost makes room', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue(['a', 'b', 'c', 'd'].map((id) => keyed(id, { concurrency: 2 })));
      await queue.enqueue([newItem('free')]);
      expect(await leased(queue)).toEqual(['a', 'b', 'free']);
      expect(await queue.lanes()).toEqual([
        { lane: LANE, namespace: 'acme', queued: 2, running: 3, oldestAt: 1000, nextAt: undefined },
      ]);
      await queue.cancel('c', { now: 2000, message: 'x' });
      expect(await leased(queue)).toEqual([]);
      await queue.reclaim({ now: 3000 });
      expect(await leased(queue, 10, 3000)).toEqual(['a', 'b', 'free']);
    });

    test('throttle: each begins so much later than the one accepted before it may', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const slow = { throttleMs: 500 };
      await queue.enqueue([keyed('a', slow), keyed('b', slow), keyed('c', slow), keyed('z', { ...slow, key: 'l' })]);
      await queue.cancel('b', { now: 1000, message: 'x' });
      await queue.enqueue([keyed('d', slow, { acceptedAt: 5000 })]);
      const moments = await Promise.all(['a', 'c', 'd', 'z'].map(async (id) => (await record(queue, id)).nextAt));
      expect(moments).toEqual([1000, 2000, 5000, 1000]);
      await queue.cancel('d', { now: 1000, message: 'x' });
      await queue.enqueue([keyed('e', slow, { acceptedAt: 2100 })]);
      expect((await record(queue, 'e')).nextAt).toBe(2500);
    });

    test('debounce: waits, and the newest takes the place of those that have not begun', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const quiet = { debounceMs: 300 };
      await queue.enqueue([
        keyed('plain', {}),
        keyed('a', quiet),
        keyed('b', quiet, { acceptedAt: 1100, runAt: 1150 }),
      ]);
      expect(await record(queue, 'a')).toMatchObject({
        state: 'cancelled',
        cancelled: 'superseded by b',
        endedAt: 1100,
      });
      expect((await record(queue, 'b')).nextAt).toBe(1450);
      expect(await leased(queue, 10, 2000)).toEqual(['plain', 'b']);
      await queue.enqueue([keyed('c', quiet)]);
      expect((await record(queue, 'b')).state).toBe('running');
      expect((await record(queue, 'plain')).state).toBe('running');
    });
  });
}
