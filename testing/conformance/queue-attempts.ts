import { describe, expect, test } from 'vitest';
import type { KeyRules, NewItem } from '../../packages/server/src/store/queue.ts';
import { attempt, LANE, newItem, type QueueUnderTest } from './queue-items.ts';
import { lease, leased, one, settle, succeed, bury, record, ids, OWNER } from './queue-steps.ts';

const HOUR = 3_600_000;
const RULES: KeyRules = { key: 'k', order: 'none', throttleMs: 0, debounceMs: 0 };

/** Accepting calls, and making and ending attempts of them: part of what every queue promises; `open` gives a fresh one. */
export function queueAttempts(open: () => Promise<QueueUnderTest>): void {
  describe('accepting', () => {
    test('an item is read back as it was given, queued (A1)', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const item = newItem('a', {
        rules: { ...RULES, order: 'strict', concurrency: 1 },
        origin: { kind: 'replay', of: 'z' },
        callbacks: [{ url: 'https://example.org/' }, { queue: 'done' }],
      });
      expect(await queue.enqueue([item])).toEqual([{ kind: 'accepted', id: 'a' }]);
      const { seq, ...rest } = await record(queue, 'a');
      expect(seq).toBeGreaterThan(0);
      expect(rest).toEqual({ ...item, state: 'queued', attempts: [], begun: 0, failures: 0, nextAt: 1000 });
      expect(await queue.get('b')).toBeUndefined();
    });

    test('bodies of any bytes, none, and in files come back', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      await queue.enqueue([
        newItem('a', { body: { kind: 'bytes', bytes } }),
        newItem('b', { body: { kind: 'none' } }),
        newItem('c', { body: { kind: 'file', digest: 'sha256-1', sizeBytes: 9 } }),
        newItem('d', { body: { kind: 'bytes', bytes: new Uint8Array(0) } }),
      ]);
      expect((await record(queue, 'a')).body).toEqual({ kind: 'bytes', bytes });
      expect((await record(queue, 'b')).body).toEqual({ kind: 'none' });
      expect((await record(queue, 'c')).body).toEqual({ kind: 'file', digest: 'sha256-1', sizeBytes: 9 });
      expect((await record(queue, 'd')).body).toEqual({ kind: 'bytes', bytes: new Uint8Array(0) });
      expect((await lease(queue)).map((held) => held.record.body.kind)).toEqual(['bytes', 'none', 'file', 'bytes']);
    });

    test('an id that is there is accepted again and changes nothing', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a')]);
      expect(await queue.enqueue([newItem('a', { path: '/other' })])).toEqual([{ kind: 'accepted', id: 'a' }]);
      expect((await record(queue, 'a')).path).toBe('/a?b=c');
      expect(await queue.count('acme')).toMatchObject({ queued: 1 });
    });

    test('the same idempotency key stands for the first item, and for another body is a mismatch, until its time is over (case 33)', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const keyed = (id: string, digest: string, more: Partial<NewItem> = {}) =>
        newItem(id, { idempotency: { key: 'once', digest, untilAt: 5000 }, ...more });
      expect(await queue.enqueue([keyed('a', 'x'), keyed('b', 'x'), keyed('c', 'y')])).toEqual([
        { kind: 'accepted', id: 'a' },
        { kind: 'duplicate', id: 'a' },
        { kind: 'mismatch', id: 'a' },
      ]);
      await succeed(queue, await one(queue));
      expect(
        await queue.enqueue([keyed('d', 'x', { acceptedAt: 4999 }), keyed('e', 'y', { lane: 'acme/other' })]),
      ).toEqual([
        { kind: 'duplicate', id: 'a' },
        { kind: 'accepted', id: 'e' },
      ]);
      expect(await queue.enqueue([keyed('f', 'y', { acceptedAt: 5000 })])).toEqual([{ kind: 'accepted', id: 'f' }]);
      expect(await queue.get('b')).toBeUndefined();
    });

    test('a namespace takes no more than its limit, and another is not touched by it (case 34)', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const results = await queue.enqueue(
        [newItem('a'), newItem('b'), newItem('c'), newItem('d', { namespace: 'zeta', lane: 'zeta/x' })],
        { perNamespace: 2 },
      );
      expect(results.map(({ kind }) => kind)).toEqual(['accepted', 'accepted', 'full', 'accepted']);
      const held = await one(queue);
      expect(await queue.enqueue([newItem('c')], { perNamespace: 2 })).toEqual([{ kind: 'full' }]);
      await succeed(queue, held);
      expect(await queue.enqueue([newItem('c')], { perNamespace: 2 })).toEqual([{ kind: 'accepted', id: 'c' }]);
    });

    test('many at once are all there, each once', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await Promise.all(Array.from({ length: 200 }, (_, index) => queue.enqueue([newItem(`i${index}`)])));
      expect(await queue.count('acme')).toEqual({ queued: 200, running: 0, succeeded: 0, dead: 0, cancelled: 0 });
      expect(new Set(await leased(queue, 1000)).size).toBe(200);
    });
  });

  describe('leasing', () => {
    test('highest priority first, then in order of acceptance, only of the lane and at most so many', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([
        newItem('low', { priority: 0 }),
        newItem('x', { lane: 'acme/other' }),
        newItem('a'),
        newItem('high', { priority: 9 }),
        newItem('b'),
      ]);
      expect(await leased(queue, 2)).toEqual(['high', 'a']);
      expect(await leased(queue)).toEqual(['b', 'low']);
      expect(await leased(queue)).toEqual([]);
    });

    test('a lease is the whole record, running, with the number of the attempt and a receipt of its own (A3)', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a'), newItem('b')]);
      const [first, second] = await lease(queue);
      expect(first).toMatchObject({ attempt: 1, record: { ...newItem('a'), state: 'running', begun: 1 } });
      expect(first?.record.nextAt).toBeUndefined();
      expect(first?.receipt).not.toBe(second?.receipt);
      expect(await record(queue, 'a')).toEqual(first?.record);
    });

    test('nothing begins before its moment, and the lease says when to ask again', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a', { runAt: 5000 }), newItem('b', { runAt: 4000 }), newItem('c')]);
      const ask = (now: number, max = 10) => queue.lease({ lane: LANE, max, now, untilAt: now + 9000, owner: OWNER });
      expect(await ask(2000, 0)).toEqual({ leases: [], nextAt: 0 });
      const now = await ask(2000);
      expect([ids(now.leases.map((held) => held.record)), now.nextAt]).toEqual([['c'], 4000]);
      const later = await ask(4000);
      expect([ids(later.leases.map((held) => held.record)), later.nextAt]).toEqual([['b'], 5000]);
      const last = await ask(9000);
      expect([ids(last.leases.map((held) => held.record)), last.nextAt]).toEqual([['a'], undefined]);
    });

    test('what was due once stays due when the clock is set back an hour (case 35)', async () => {
      const { queue: made } = await open();
      await using queue = made;
      const now = 10 * HOUR;
      await queue.enqueue([newItem('a', { acceptedAt: now }), newItem('b', { acceptedAt: now, runAt: now + 5 })]);
      expect(await leased(queue, 0, now + 5)).toEqual([]);
      expect(await leased(queue, 10, now - HOUR)).toEqual(['a', 'b']);
    });

    test('what is too old is leased on its own, also when its moment or its key holds it back', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([
        newItem('runs', { rules: { ...RULES, order: 'strict', concurrency: 1 } }),
        newItem('held', { rules: { ...RULES, order: 'strict', concurrency: 1 }, expiresAt: 2500 }),
        newItem('later', { runAt: 9000, expiresAt: 2400, priority: 5 }),
        newItem('young', { expiresAt: 2600 }),
      ]);
      expect(await leased(queue, 1)).toEqual(['runs']);
      const ask = async (now: number, max = 10) => {
        const answer = await queue.lease({ lane: LANE, max, now, untilAt: now + 1000, owner: OWNER, expired: true });
        return { ids: ids(answer.leases.map((held) => held.record)), nextAt: answer.nextAt };
      };
      expect(await ask(2399)).toEqual({ ids: [], nextAt: 2400 });
      expect(await ask(2500, 1)).toEqual({ ids: ['later'], nextAt: 0 });
      expect(await ask(2500)).toEqual({ ids: ['held'], nextAt: 2600 });
      expect(await leased(queue, 10, 2700)).toEqual(['young']);
    });
  });

  describe('settling', () => {
    test('success ends the call with its answer, and only once (A2)', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a')]);
      const held = await one(queue);
      const result = {
        status: 201,
        headers: ['A', 'b'],
        body: { kind: 'bytes' as const, bytes: new Uint8Array([0, 255]) },
      };
      expect(await settle(queue, held, { kind: 'succeeded', result }, { attempt: attempt(1, 'succeeded') })).toBe(true);
      const ended = await record(queue, 'a');
      expect(ended).toMatchObject({
        state: 'succeeded',
        endedAt: 3000,
        attempts: [attempt(1, 'succeeded')],
        failures: 0,
      });
      expect(ended.result).toEqual(result);
      expect(await succeed(queue, held)).toBe(false);
      expect(await bury(queue, held)).toBe(false);
      expect(await record(queue, 'a')).toEqual(ended);
      expect(await queue.cancel('a', { now: 1, message: 'x' })).toEqual({ kind: 'ended', state: 'succeeded' });
    });

    test('a retry waits for its moment, keeps its attempts, and has the next number (A3)', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a')]);
      const held = await one(queue);
      expect(await settle(queue, held, { kind: 'retry', at: 6000, counts: true })).toBe(true);
      expect(await record(queue, 'a')).toMatchObject({ state: 'queued', nextAt: 6000, failures: 1, begun: 1 });
      expect(await leased(queue, 10, 5999)).toEqual([]);
      const again = await one(queue, 6000);
      expect(again).toMatchObject({ attempt: 2, record: { attempts: [attempt(1)], failures: 1 } });
      await settle(queue, again, { kind: 'retry', at: 0, counts: false });
      expect(await record(queue, 'a')).toMatchObject({ failures: 1, begun: 2, attempts: [attempt(1), attempt(2)] });
      expect((await one(queue)).attempt).toBe(3);
    });

    test('an attempt that never began is as if it had not been leased, but its receipt counts no more (A4)', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a')]);
      const held = await one(queue);
      await settle(queue, held, { kind: 'retry', at: 3000, counts: false }, { attempt: undefined });
      expect(await record(queue, 'a')).toMatchObject({ state: 'queued', begun: 0, attempts: [], nextAt: 3000 });
      const again = await one(queue);
      expect(again.attempt).toBe(1);
      expect(again.receipt).not.toBe(held.receipt);
      expect(await succeed(queue, held)).toBe(false);
      expect(await succeed(queue, again)).toBe(true);
    });

    test('each settlement is by itself, and one by an unknown or older receipt changes nothing', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a'), newItem('b')]);
      const [a, b] = await lease(queue);
      const next = { kind: 'cancelled' as const, message: 'by the caller' };
      const results = await queue.settle([
        { receipt: 'nonsense', now: 3000, next, follow: [newItem('never')] },
        { receipt: a?.receipt ?? '', now: 3000, next },
        { receipt: a?.receipt ?? '', now: 3000, next: { kind: 'succeeded' }, follow: [newItem('never')] },
        { receipt: b?.receipt ?? '', now: 3000, next: { kind: 'succeeded' } },
      ]);
      expect(results).toEqual([false, true, false, true]);
      expect(await record(queue, 'a')).toMatchObject({ state: 'cancelled', cancelled: 'by the caller' });
      expect(await queue.get('never')).toBeUndefined();
    });

    test('what follows is queued in the same commit, but not under a taken id', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a'), newItem('taken')]);
      const follow = [
        newItem('f', { lane: 'acme/url:example.org', origin: { kind: 'success', of: 'a' } }),
        newItem('taken', { path: '/other' }),
      ];
      expect(await settle(queue, await one(queue), { kind: 'succeeded' }, { follow })).toBe(true);
      expect(await record(queue, 'f')).toMatchObject({ state: 'queued', origin: { kind: 'success', of: 'a' } });
      expect((await record(queue, 'taken')).path).toBe('/a?b=c');
    });
  });

  describe('leases that run out', () => {
    test('a lease that is over is taken back and its attempt noted as lost; the zombie settles nothing (A4, case 38)', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a')]);
      const zombie = await one(queue, 2000);
      expect(await queue.reclaim({ now: 2999 })).toEqual([]);
      expect(await queue.reclaim({ now: 3000 })).toEqual([LANE]);
      expect(await record(queue, 'a')).toMatchObject({
        state: 'queued',
        nextAt: 3000,
        failures: 0,
        begun: 1,
        attempts: [
          { number: 1, end: 'lost', startedAt: new Date(2000).toISOString(), endedAt: new Date(3000).toISOString() },
        ],
      });
      expect(await succeed(queue, zombie)).toBe(false);
      const next = await one(queue, 3000);
      expect(next.attempt).toBe(2);
      expect(await bury(queue, zombie)).toBe(false);
      expect(await queue.extend([zombie.receipt], 99_000)).toEqual([false]);
      expect(await succeed(queue, next)).toBe(true);
      expect(await queue.count('acme')).toMatchObject({ succeeded: 1, dead: 0 });
    });

    test('an extended lease goes on until its new end', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a'), newItem('b')]);
      const [a, b] = await lease(queue, 2, 2000);
      expect(await queue.extend([a?.receipt ?? '', 'nonsense'], 9000)).toEqual([true, false]);
      await queue.reclaim({ now: 4000 });
      expect((await record(queue, 'a')).state).toBe('running');
      expect((await record(queue, 'b')).state).toBe('queued');
      expect(b && (await succeed(queue, b))).toBe(false);
      expect(a && (await succeed(queue, a))).toBe(true);
      expect(a && (await queue.extend([a.receipt], 10_000))).toEqual([false]);
    });

    test('what a server that is gone had leased is taken back at once', async () => {
      const { queue: made } = await open();
      await using queue = made;
      await queue.enqueue([newItem('a')]);
      await queue.lease({ lane: LANE, max: 1, now: 2000, untilAt: 90_000, owner: 'run-0' });
      await queue.enqueue([newItem('b')]);
      await queue.lease({ lane: LANE, max: 1, now: 2000, untilAt: 90_000, owner: OWNER });
      expect(await queue.reclaim({ now: 2001, owners: [OWNER] })).toEqual([LANE]);
      expect((await record(queue, 'a')).state).toBe('queued');
      expect((await record(queue, 'b')).state).toBe('running');
    });
  });
}
