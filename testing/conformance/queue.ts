import { describe, expect, test } from 'vitest';
import type {
  KeyRules,
  Lease,
  NewItem,
  Queue,
  QueueRecord,
  Settlement,
} from '../../packages/server/src/store/queue.ts';
import { attempt, LANE, newItem, type QueueUnderTest } from './queue-items.ts';
import { queueModel } from './queue-model.ts';

/** Settings of {@link queueConformance}. */
export interface QueueSuiteOptions {
  /** How many random histories are compared with the memory queue's. Default: 250. */
  readonly histories?: number | undefined;
  /** Opens an empty one for each of them, where that can be had cheaper. */
  readonly openForModel?: (() => Promise<Queue>) | undefined;
}

const OWNER = 'run-1';
const HOUR = 3_600_000;
const RULES: KeyRules = { key: 'k', order: 'none', throttleMs: 0, debounceMs: 0 };

/** What every {@link Queue} promises; `open` gives a fresh one. */
export function queueConformance(
  name: string,
  open: () => Promise<QueueUnderTest>,
  options: QueueSuiteOptions = {},
): void {
  const lease = async (queue: Queue, max = 100, now = 2000, lane = LANE): Promise<readonly Lease[]> =>
    (await queue.lease({ lane, max, now, untilAt: now + 1000, owner: OWNER })).leases;
  const leased = async (queue: Queue, max = 100, now = 2000): Promise<readonly string[]> =>
    (await lease(queue, max, now)).map(({ record }) => record.id);
  const one = async (queue: Queue, now = 2000): Promise<Lease> => {
    const [first] = await lease(queue, 1, now);
    if (!first) throw new Error('nothing was leased');
    return first;
  };
  const settle = async (queue: Queue, held: Lease, next: Settlement['next'], more: Partial<Settlement> = {}) =>
    (await queue.settle([{ receipt: held.receipt, attempt: attempt(held.attempt), now: 3000, next, ...more }]))[0];
  const succeed = (queue: Queue, held: Lease) => settle(queue, held, { kind: 'succeeded' });
  const bury = (queue: Queue, held: Lease, now = 3000) =>
    settle(queue, held, { kind: 'dead', reason: 'attempts', message: 'failed 5 times', counts: true }, { now });
  const record = async (queue: Queue, id: string): Promise<QueueRecord> => {
    const found = await queue.get(id);
    if (!found) throw new Error(`"${id}" is not there`);
    return found;
  };
  const ids = (records: readonly QueueRecord[]): readonly string[] => records.map(({ id }) => id);

  describe(`Queue: ${name}`, () => {
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
        expect(await settle(queue, held, { kind: 'succeeded', result }, { attempt: attempt(1, 'succeeded') })).toBe(
          true,
        );
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
