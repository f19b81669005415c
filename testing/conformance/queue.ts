import { describe, expect, test } from 'vitest';
import type { KeyRules, Queue } from '../../packages/server/src/store/queue.ts';
import { newItem, type QueueUnderTest } from './queue-items.ts';
import { queueModel } from './queue-model.ts';
import { queueAttempts } from './queue-attempts.ts';
import { queueKeys } from './queue-keys.ts';
import { queuePeople } from './queue-people.ts';
import { lease, leased, one, settle, succeed, bury, record, ids } from './queue-steps.ts';

/** Settings of {@link queueConformance}. */
export interface QueueSuiteOptions {
  /** How many random histories are compared with the memory queue's. Default: 250. */
  readonly histories?: number | undefined;
  /** Opens an empty one for each of them, where that can be had cheaper. */
  readonly openForModel?: (() => Promise<Queue>) | undefined;
}
const RULES: KeyRules = { key: 'k', order: 'none', throttleMs: 0, debounceMs: 0 };

/** What every {@link Queue} promises; `open` gives a fresh one. */
export function queueConformance(
  name: string,
  open: () => Promise<QueueUnderTest>,
  options: QueueSuiteOptions = {},
): void {
  describe(`Queue: ${name}`, () => {
    queueAttempts(open);
    queueKeys(open);
    queuePeople(open);

    describe('forgetting', () => {
      test('goes by how a call ended and when, oldest first and at most so many', async () => {
        const { queue: made } = await open();
        await using queue = made;
        await queue.enqueue(['a', 'b', 'c', 'd', 'open'].map((id) => newItem(id)));
        const [a, b, c] = await lease(queue, 3);
        if (a) await settle(queue, a, { kind: 'succeeded' }, { now: 3000 });
        if (b) await settle(queue, b, { kind: 'succeeded' }, { now: 2500 });
        if (c) await bury(queue, c, 3000);
        await queue.cancel('d', { now: 3000, message: 'x' });
        const before = (succeededBefore: number, cancelledBefore: number, deadBefore: number, max = 10) =>
          queue.forget({ succeededBefore, cancelledBefore, deadBefore }, 9000, max);
        expect(await before(2500, 3000, 3000)).toBe(0);
        expect(await before(9000, 9000, 0, 1)).toBe(1);
        expect(await queue.get('b')).toBeUndefined();
        expect(await before(9000, 9000, 0)).toBe(2);
        expect(await before(9000, 9000, 9000)).toBe(1);
        expect(ids(await queue.list({ namespace: 'acme', limit: 10 }))).toEqual(['open']);
        expect(await queue.enqueue([newItem('a')])).toEqual([{ kind: 'accepted', id: 'a' }]);
      });

      test('keeps what still throttles its key, and idempotency keys until their time is over', async () => {
        const { queue: made } = await open();
        await using queue = made;
        const idempotency = { key: 'once', digest: 'x', untilAt: 20_000 };
        await queue.enqueue([newItem('a', { rules: { ...RULES, throttleMs: 5000 }, idempotency })]);
        await succeed(queue, await one(queue));
        const forget = (now: number) =>
          queue.forget({ succeededBefore: 9e12, cancelledBefore: 0, deadBefore: 0 }, now, 10);
        expect(await forget(5999)).toBe(0);
        expect(await forget(6000)).toBe(1);
        expect(await queue.enqueue([newItem('b', { idempotency })])).toEqual([{ kind: 'duplicate', id: 'a' }]);
        await forget(20_000);
        expect(await queue.enqueue([newItem('b', { idempotency })])).toEqual([{ kind: 'accepted', id: 'b' }]);
      });

      test('of a namespace that is removed takes all that is over, also keys, and nothing of others (T3)', async () => {
        const { queue: made } = await open();
        await using queue = made;
        const idempotency = { key: 'once', digest: 'x', untilAt: 20_000 };
        await queue.enqueue([
          newItem('a', { idempotency }),
          newItem('b', { rules: { ...RULES, throttleMs: 5000 } }),
          newItem('c'),
          newItem('open'),
          newItem('other', { namespace: 'acme-2', lane: 'acme-2/resize', idempotency }),
        ]);
        const [a, b] = await lease(queue, 2);
        if (a) await settle(queue, a, { kind: 'succeeded' });
        if (b) await bury(queue, b);
        for (const id of ['c', 'other']) await queue.cancel(id, { now: 3000, message: 'x' });
        expect(await queue.clear('acme', 2)).toBe(2);
        expect(await queue.clear('acme', 2)).toBe(1);
        expect(await queue.clear('acme', 2)).toBe(0);
        expect(ids(await queue.list({ namespace: 'acme', limit: 10 }))).toEqual(['open']);
        expect(ids(await queue.list({ namespace: 'acme-2', limit: 10 }))).toEqual(['other']);
        expect(await queue.enqueue([newItem('d', { idempotency })])).toEqual([{ kind: 'accepted', id: 'd' }]);
        const again = newItem('e', { namespace: 'acme-2', lane: 'acme-2/resize', idempotency });
        expect(await queue.enqueue([again])).toEqual([{ kind: 'duplicate', id: 'other' }]);
      });

      test('a file is in use as long as a record refers to it', async () => {
        const { queue: made } = await open();
        await using queue = made;
        const file = (digest: string) => ({ kind: 'file' as const, digest, sizeBytes: 5 });
        await queue.enqueue([newItem('a', { body: file('one') }), newItem('b', { body: file('one') })]);
        const [a, b] = await lease(queue);
        if (a) await settle(queue, a, { kind: 'succeeded', result: { status: 200, headers: [], body: file('two') } });
        expect(await queue.filesInUse(['one', 'two', 'three'])).toEqual(new Set(['one', 'two']));
        await queue.forget({ succeededBefore: 9e12, cancelledBefore: 0, deadBefore: 0 }, 9000, 10);
        expect(await queue.filesInUse(['one', 'two'])).toEqual(new Set(['one']));
        if (b) await bury(queue, b);
        await queue.purge(['b']);
        expect(await queue.filesInUse(['one', 'two'])).toEqual(new Set());
      });
    });

    test('closing twice is fine, and what comes after is STORE_FAILED', async () => {
      const { queue } = await open();
      const last = queue.enqueue([newItem('a')]);
      await Promise.all([queue[Symbol.asyncDispose](), queue[Symbol.asyncDispose]()]);
      expect(await last).toEqual([{ kind: 'accepted', id: 'a' }]);
      await expect(queue.get('a')).rejects.toMatchObject({ code: 'STORE_FAILED' });
      await expect(queue.enqueue([])).rejects.toMatchObject({ code: 'STORE_FAILED' });
    });

    test('everything is there after it was closed and opened again, and receipts still count', async () => {
      const { queue, reopen } = await open();
      if (!reopen) {
        await queue[Symbol.asyncDispose]();
        return;
      }
      const idempotency = { key: 'once', digest: 'x', untilAt: 9000 };
      const strict = { ...RULES, order: 'strict', concurrency: 1 } as const;
      await queue.enqueue([
        newItem('a', { idempotency }),
        newItem('b'),
        newItem('c', { rules: strict }),
        newItem('d', { rules: strict }),
        newItem('e', { runAt: 8000 }),
      ]);
      const [a, b] = await lease(queue);
      if (a) await bury(queue, a);
      const listed = await queue.list({ namespace: 'acme', limit: 10 });
      const lanes = await queue.lanes();
      const counted = await queue.count('acme');
      await queue[Symbol.asyncDispose]();

      await using again = await reopen();
      expect(await again.list({ namespace: 'acme', limit: 10 })).toEqual(listed);
      expect(await again.lanes()).toEqual(lanes);
      expect(await again.count('acme')).toEqual(counted);
      expect(await again.enqueue([newItem('f', { idempotency })])).toEqual([{ kind: 'duplicate', id: 'a' }]);
      expect(await leased(again)).toEqual([]);
      expect(b && (await succeed(again, b))).toBe(true);
      await again.reclaim({ now: 3000, owners: [] });
      expect(await leased(again, 10, 9000)).toEqual(['c', 'e']);
      await again.enqueue([newItem('g')]);
      expect((await record(again, 'g')).seq).toBeGreaterThan((await record(again, 'e')).seq);
    });

    queueModel(options.openForModel ?? (async () => (await open()).queue), options.histories ?? 250);
  });
}
