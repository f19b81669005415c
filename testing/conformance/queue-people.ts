import { describe, expect, test } from 'vitest';
import type { KeyRules } from '../../packages/server/src/store/queue.ts';
import { LANE, newItem, type QueueUnderTest } from './queue-items.ts';
import { lease, leased, one, settle, succeed, bury, record, ids } from './queue-steps.ts';

const RULES: KeyRules = { key: 'k', order: 'none', throttleMs: 0, debounceMs: 0 };

/** What people ask for and change: part of what every queue promises; `open` gives a fresh one. */
export function queuePeople(open: () => Promise<QueueUnderTest>): void {
  describe('people', () => {
    test('cancel ends what is queued, tells what runs, and knows what it does not know', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a'), newItem('b', { runAt: 9000 })]);
      await one(queue);
      const options = { now: 2000, message: 'nobody needs it' };
      expect(await queue.cancel('a', options)).toEqual({ kind: 'running' });
      expect(await queue.cancel('b', options)).toEqual({ kind: 'cancelled' });
      expect(await queue.cancel('b', options)).toEqual({ kind: 'ended', state: 'cancelled' });
      expect(await queue.cancel('c', options)).toEqual({ kind: 'unknown' });
      const b = await record(queue, 'b');
      expect(b).toMatchObject({ state: 'cancelled', cancelled: 'nobody needs it', endedAt: 2000 });
      expect(b.nextAt).toBeUndefined();
      expect(await leased(queue, 10, 9000)).toEqual([]);
    });

    test('two items under one id take one place, also in one call', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const accepted = { kind: 'accepted', id: 'a' };
      const limits = { perNamespace: 1 };
      expect(await queue.enqueue([newItem('a'), newItem('a'), newItem('b')], limits)).toEqual([
        accepted,
        accepted,
        { kind: 'full' },
      ]);
    });

    test('a post that is redriven, and again, keeps the id of what it was at first', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const target = { kind: 'url', namespace: 'acme', url: 'https://example.org/' } as const;
      await queue.enqueue([newItem('a', { target, origin: { kind: 'callback', of: 'z' } })]);
      for (const [id, newId] of [
        ['a', 'b'],
        ['b', 'c'],
      ] as const) {
        const [taken] = await lease(queue, 1, 9000);
        if (taken) await bury(queue, taken);
        expect(await queue.redrive([{ id, newId }], 9000)).toEqual([true]);
      }
      expect((await record(queue, 'b')).origin).toEqual({ kind: 'redrive', of: 'a', first: 'a' });
      expect((await record(queue, 'c')).origin).toEqual({ kind: 'redrive', of: 'b', first: 'a' });
    });

    test('a dead letter is redriven once, as a new item with as long to live', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a', { priority: 7, expiresAt: 4000 }), newItem('b')]);
      await bury(queue, await one(queue));
      const pairs = [
        { id: 'a', newId: 'a2' },
        { id: 'a', newId: 'a3' },
        { id: 'b', newId: 'b2' },
        { id: 'x', newId: 'x2' },
      ];
      expect(await queue.redrive(pairs, 9000)).toEqual([true, false, false, false]);
      expect((await record(queue, 'a')).dead).toEqual({
        reason: 'attempts',
        message: 'failed 5 times',
        redrivenAs: 'a2',
      });
      const { seq: _seq, ...redriven } = await record(queue, 'a2');
      const item = newItem('a2', { priority: 7, acceptedAt: 9000, expiresAt: 12_000 });
      expect(redriven).toEqual({
        ...item,
        body: newItem('a').body,
        origin: { kind: 'redrive', of: 'a' },
        state: 'queued',
        attempts: [],
        begun: 0,
        failures: 0,
        nextAt: 9000,
      });
      expect(await queue.redrive([{ id: 'a', newId: 'a4' }], 9000)).toEqual([false]);
    });

    test('purge removes dead letters and nothing else', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a'), newItem('b')]);
      await bury(queue, await one(queue));
      expect(await queue.purge(['a', 'b', 'x', 'a'])).toEqual([true, false, false, false]);
      expect(await queue.get('a')).toBeUndefined();
      expect(await queue.count('acme')).toEqual({ queued: 1, running: 0, succeeded: 0, dead: 0, cancelled: 0 });
    });

    test('a list is newest first, in pages, with everything asked for and without bodies', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const result = { status: 200, headers: [], body: { kind: 'bytes' as const, bytes: new Uint8Array([1]) } };
      await queue.enqueue([
        newItem('a', { acceptedAt: 1000 }),
        newItem('b', { acceptedAt: 1001, lane: 'acme/other' }),
        newItem('c', { acceptedAt: 1002, rules: RULES }),
        newItem('d', { acceptedAt: 1003, namespace: 'zeta', lane: 'zeta/x' }),
        newItem('e', { acceptedAt: 1004 }),
      ]);
      const [a, c] = await lease(queue);
      if (a) await settle(queue, a, { kind: 'succeeded', result });
      if (c) await bury(queue, c);
      const list = async (more: object) => ids(await queue.list({ namespace: 'acme', limit: 10, ...more }));
      expect(await list({})).toEqual(['e', 'c', 'b', 'a']);
      expect(await list({ limit: 2 })).toEqual(['e', 'c']);
      expect(await list({ beforeSeq: (await record(queue, 'c')).seq })).toEqual(['b', 'a']);
      expect(await list({ lane: 'acme/other' })).toEqual(['b']);
      expect(await list({ states: ['queued', 'dead'] })).toEqual(['c', 'b']);
      expect(await list({ states: [] })).toEqual([]);
      expect(await list({ key: 'k' })).toEqual(['c']);
      expect(await list({ sinceAt: 1001, beforeAt: 1004 })).toEqual(['c', 'b']);
      expect(await list({ reason: 'attempts' })).toEqual(['c']);
      expect(await list({ reason: 'expired' })).toEqual([]);
      expect(await list({ redriven: false })).toEqual(['c']);
      await queue.redrive([{ id: 'c', newId: 'c2' }], 5000);
      expect(await list({ redriven: true })).toEqual(['c']);
      expect(await list({ redriven: false })).toEqual([]);
      const [, , , , listed] = await queue.list({ namespace: 'acme', limit: 10 });
      expect(listed).toMatchObject({
        id: 'a',
        body: { kind: 'none' },
        result: { status: 200, body: { kind: 'none' } },
      });
      expect((await record(queue, 'a')).result).toEqual(result);
    });

    test('lanes and counts say what waits and runs', async () => {
      const { queue: made } = await open();
      await using queue = made;
      expect(await queue.lanes()).toEqual([]);
      await queue.enqueue([
        newItem('a', { acceptedAt: 1000 }),
        newItem('b', { acceptedAt: 1001, priority: 9 }),
        newItem('c', { acceptedAt: 1002, lane: 'zeta/x', namespace: 'zeta', runAt: 7000 }),
      ]);
      expect((await queue.lanes()).toSorted((left, right) => (left.lane < right.lane ? -1 : 1))).toEqual([
        { lane: LANE, namespace: 'acme', queued: 2, running: 0, oldestAt: 1000, nextAt: 0 },
        { lane: 'zeta/x', namespace: 'zeta', queued: 1, running: 0, oldestAt: 1002, nextAt: 7000 },
      ]);
      for (const held of await lease(queue)) await succeed(queue, held);
      await queue.cancel('c', { now: 1, message: 'x' });
      expect(await queue.lanes()).toEqual([]);
      expect(await queue.count('acme')).toEqual({ queued: 0, running: 0, succeeded: 2, dead: 0, cancelled: 0 });
      expect(await queue.count('zeta')).toEqual({ queued: 0, running: 0, succeeded: 0, dead: 0, cancelled: 1 });
      expect(await queue.count('nobody')).toEqual({ queued: 0, running: 0, succeeded: 0, dead: 0, cancelled: 0 });
    });

    test('a count has in it all that is being queued and redriven already', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a')]);
      await bury(queue, await one(queue));
      const redriven = queue.redrive([{ id: 'a', newId: 'a2' }], 9000);
      const enqueued = queue.enqueue([newItem('b'), newItem('c')]);
      expect(await queue.count('acme')).toEqual({ queued: 3, running: 0, succeeded: 0, dead: 1, cancelled: 0 });
      expect([await redriven, (await enqueued).length]).toEqual([[true], 2]);
    });

    test('a qualifier is in use while a call for it is queued or runs', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const target = { kind: 'function', namespace: 'acme', name: 'resize', qualifier: '@3' } as const;
      await queue.enqueue([newItem('a', { target }), newItem('b', { target: { ...target, qualifier: ':live' } })]);
      const uses = async (qualifier: string, functionName = 'resize') =>
        queue.hasQueued({ ...target, qualifier, name: functionName });
      expect(await uses('@3')).toBe(true);
      expect(await uses(':live')).toBe(true);
      expect(await Promise.all([uses('@4'), uses(''), uses('@3', 'resize2')])).toEqual([false, false, false]);
      const [a] = await lease(queue);
      expect(await uses('@3')).toBe(true);
      if (a) await bury(queue, a);
      expect(await uses('@3')).toBe(false);
      await queue.enqueue([newItem('c')]);
      expect(await uses('')).toBe(true);
    });
  });
}
