import { functionSpecSchema } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { newItem } from '../../../../testing/conformance/queue-items.ts';
import { createMemoryQueue } from '../store/memory/memory-queue.ts';
import type { NewItem, Queue } from '../store/queue.ts';
import type { FunctionRecord, FunctionRegistry } from '../core/ports.ts';
import { createAcceptance } from './accept.ts';
import { createDeadLetters } from './dead-letters.ts';

const HERE = { hasNamespace: () => true };
const FILTER = { namespace: 'acme' };

async function bury(queue: Queue, items: readonly NewItem[]): Promise<void> {
  await queue.enqueue(items);
  for (const lane of new Set(items.map((item) => item.lane))) {
    const { leases } = await queue.lease({ lane, max: 10_000, now: 2_000, untilAt: 9_000, owner: 'me' });
    await queue.settle(
      leases.map(({ receipt, attempt }) => ({
        receipt,
        now: 3_000,
        attempt: {
          number: attempt,
          startedAt: new Date(2_000).toISOString(),
          endedAt: new Date(3_000).toISOString(),
          end: 'failed' as const,
          status: 500,
        },
        next: { kind: 'dead' as const, reason: 'attempts' as const, message: 'no more attempts', counts: true },
      })),
    );
  }
}

function named(count: number, more: Partial<NewItem> = {}, prefix = 'c'): NewItem[] {
  return Array.from({ length: count }, (_, index) => newItem(`${prefix}${index}`, more));
}

/** What a service is made with, on a queue. */
function parts(queue: Queue, registry: Pick<FunctionRegistry, 'hasNamespace'> = HERE) {
  const spec = functionSpecSchema.parse({ runtime: 'node', async: { maxAge: '1h' } });
  const live = { namespace: 'acme', name: 'quiet', version: 1, spec };
  const files = {
    maxBytes: 1_000,
    keep: never,
    open: never,
    renew: async (digest: string) => digest !== 'sha256:gone',
  };
  const clock = { now: () => 5_000 };
  const acceptance = createAcceptance({
    registry: {
      ...registry,
      resolve: (_, name) => (name === 'quiet' ? ({ live } as unknown as FunctionRecord) : undefined),
      version: never,
    },
    queue,
    files,
    clock,
    maxQueued: 1_000,
  });
  return { queue, registry, acceptance, files, clock };
}

function never(): never {
  throw new Error('nobody asks for this');
}

function open(queue: Queue, maxStep?: number) {
  return { letters: createDeadLetters({ ...parts(queue), maxStep }) };
}

/** What is still in the dead letters and what is queued again, by what it came from. */
async function stateOf(queue: Queue) {
  const left = await queue.list({ namespace: 'acme', states: ['dead'], redriven: false, limit: 10_000 });
  const queued = await queue.list({ namespace: 'acme', states: ['queued'], limit: 10_000 });
  return { left: left.map(({ id }) => id).toSorted(), queued: queued.map(({ origin }) => origin?.of ?? '').toSorted() };
}

describe('createDeadLetters', () => {
  test('shows a letter with its reason and every attempt, and no other call', async () => {
    const queue = createMemoryQueue();
    await bury(queue, named(1));
    await queue.enqueue([newItem('waiting')]);
    const { letters } = open(queue);
    expect(await letters.get('c0')).toMatchObject({
      state: 'dead',
      dead: { reason: 'attempts', message: 'no more attempts' },
      attempts: [{ number: 1, end: 'failed', status: 500 }],
    });
    await expect(letters.get('waiting')).rejects.toMatchObject({ code: 'INVOCATION_NOT_DEAD' });
    await expect(letters.get('nobody')).rejects.toMatchObject({ code: 'INVOCATION_NOT_FOUND' });
    // T3: another namespace's does not exist.
    await expect(letters.get('c0', 'other')).rejects.toMatchObject({ code: 'INVOCATION_NOT_FOUND' });
  });

  test('lists in pages, newest first, by function', async () => {
    const queue = createMemoryQueue();
    await bury(queue, [...named(5), ...named(2, { lane: 'acme/other' }, 'o')]);
    const { letters } = open(queue);
    const first = await letters.list({ ...FILTER, function: 'resize', redriven: false, limit: 3 });
    expect(first.invocations.map(({ id }) => id)).toEqual(['c4', 'c3', 'c2']);
    const second = await letters.list({ ...FILTER, function: 'resize', redriven: false, limit: 3, cursor: first.next });
    expect([second.invocations.map(({ id }) => id), second.next]).toEqual([['c1', 'c0'], undefined]);
    await expect(letters.list({ ...FILTER, redriven: false, limit: 3, cursor: 'x' })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    });
  });

  test('redrives named letters once, under new ids', async () => {
    const queue = createMemoryQueue();
    await bury(queue, named(3));
    const { letters } = open(queue);
    const done = await letters.redrive({ kind: 'ids', ids: ['c0', 'c2', 'c2', 'nobody'] });
    expect(done).toMatchObject({ count: 2, skipped: 1, notFound: ['nobody'], calls: [{ id: 'c0' }, { id: 'c2' }] });
    expect(await stateOf(queue)).toEqual({ left: ['c1'], queued: ['c0', 'c2'] });
    // Redriven before is left out, but it is a dead letter.
    expect(await letters.redrive({ kind: 'ids', ids: ['c0'] })).toEqual({ count: 0, skipped: 1, calls: [] });
    const again = await queue.get(done.calls[0]?.as ?? '');
    const before = await queue.get('c0');
    expect([again?.body, again?.headers, again?.path]).toEqual([before?.body, before?.headers, before?.path]);
    expect((await letters.get('c0')).dead?.redrivenAs).toBe(done.calls[0]?.as);
    // T3: what is named from another namespace is not touched.
    expect(await letters.redrive({ kind: 'ids', ids: ['c1'], namespace: 'other' })).toMatchObject({
      count: 0,
      notFound: ['c1'],
    });
  });

  test('a filter is redriven in bounded steps until all of it is', async () => {
    const queue = createMemoryQueue();
    await bury(queue, [...named(25), ...named(3, { lane: 'acme/other' }, 'o')]);
    const { letters } = open(queue, 10);
    const counts: number[] = [];
    let cursor: string | undefined;
    do {
      const { count, next } = await letters.redrive({
        kind: 'filter',
        filter: { ...FILTER, function: 'resize', cursor },
      });
      counts.push(count);
      cursor = next;
    } while (cursor !== undefined);
    expect(counts).toEqual([10, 10, 5]);
    expect((await stateOf(queue)).left).toEqual(['o0', 'o1', 'o2']);
  });

  test('a redrive that dies between any two steps of the queue is completed by the same request again', async () => {
    for (let diesAfter = 0; diesAfter <= 6; diesAfter += 1) {
      const queue = createMemoryQueue();
      await bury(queue, named(6));
      let commits = 0;
      // Each pair is a commit of its own here; the server is gone after so many of them.
      const dying: Queue = {
        ...queue,
        redrive: async (pairs, now) => {
          const done: boolean[] = [];
          for (const pair of pairs) {
            if (commits === diesAfter) throw new Error('killed');
            commits += 1;
            done.push(...(await queue.redrive([pair], now)));
          }
          return done;
        },
      };
      const all = { kind: 'filter', filter: FILTER } as const;
      await open(dying)
        .letters.redrive(all)
        .catch(() => {});
      await open(queue).letters.redrive(all);
      const { left, queued } = await stateOf(queue);
      expect(left).toEqual([]);
      expect(queued).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c5']);
    }
  });

  test('redriven to another function they are its calls, by its settings, and leave the dead letters', async () => {
    const queue = createMemoryQueue();
    const letter = { body: { kind: 'bytes', bytes: Buffer.from('hi') }, path: '/x', headers: ['A', 'b'] } as const;
    await bury(queue, named(3, letter));
    const { letters } = open(queue);
    const done = await letters.redrive({ kind: 'ids', ids: ['c1', 'c0', 'nobody'] }, 'quiet');
    expect(done).toMatchObject({ count: 2, skipped: 1, notFound: ['nobody'], calls: [{ id: 'c0' }, { id: 'c1' }] });
    expect(await queue.get(done.calls[0]?.as ?? '')).toMatchObject({
      ...letter,
      lane: 'acme/quiet',
      target: { kind: 'function', namespace: 'acme', name: 'quiet', qualifier: '' },
      origin: { kind: 'redrive', of: 'c0' },
      expiresAt: 5_000 + 3_600_000,
    });
    expect(await queue.get('c0')).toBeUndefined();
    expect(await stateOf(queue)).toEqual({ left: ['c2'], queued: ['c0', 'c1'] });
    // Whoever was redriven to its own function before stays as it is.
    await letters.redrive({ kind: 'ids', ids: ['c2'] });
    expect(await letters.redrive({ kind: 'ids', ids: ['c2'] }, 'quiet')).toEqual({ count: 0, skipped: 1, calls: [] });
  });

  test('a move that dies before the letters are gone is completed by the same request, and makes nothing twice', async () => {
    const queue = createMemoryQueue();
    await bury(queue, named(2));
    const dying = { ...queue, purge: () => Promise.reject(new Error('killed')) };
    const all = { kind: 'filter', filter: FILTER } as const;
    await expect(createDeadLetters(parts(dying)).redrive(all, 'quiet')).rejects.toThrow('killed');
    // Nor is it made twice by whoever has it redriven to its own function meanwhile.
    expect(await open(queue).letters.redrive(all)).toMatchObject({ count: 0 });
    expect(await open(queue).letters.redrive(all, 'quiet')).toMatchObject({ count: 2 });
    expect(await stateOf(queue)).toEqual({ left: [], queued: ['c0', 'c1'] });
  });

  test('T3: what they cannot be redriven to leaves them where they are', async () => {
    const queue = createMemoryQueue();
    await bury(queue, [...named(1), newItem('lost', { body: { kind: 'file', digest: 'sha256:gone', sizeBytes: 9 } })]);
    const { letters } = open(queue);
    const all = { kind: 'filter', filter: FILTER } as const;
    await expect(letters.redrive(all, 'nobody')).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
    await expect(letters.redrive(all, 'quiet.other')).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: '"to" is "quiet.other" but must be of the namespace "acme"',
    });
    expect((await stateOf(queue)).left).toEqual(['c0', 'lost']);
    // One whose body is gone does not hold up the others.
    await expect(letters.redrive(all, 'quiet')).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(await stateOf(queue)).toEqual({ left: ['lost'], queued: ['c0'] });
  });

  test('T3: nothing is redriven into a namespace whose removal has begun', async () => {
    const queue = createMemoryQueue();
    await bury(queue, named(1));
    let isThere = true;
    const removed: Queue = {
      ...queue,
      get: async (id) => {
        const record = await queue.get(id);
        isThere = false;
        return record;
      },
    };
    const registry = { hasNamespace: () => isThere };
    const letters = createDeadLetters(parts(removed, registry));
    expect(await letters.redrive({ kind: 'ids', ids: ['c0'] })).toMatchObject({ count: 0, skipped: 1 });
    expect(await stateOf(queue)).toEqual({ left: ['c0'], queued: [] });
  });

  test('purges what is named or matches, also what was redriven, and nothing that is no letter', async () => {
    const queue = createMemoryQueue();
    await bury(queue, named(4));
    await queue.enqueue([newItem('waiting')]);
    const { letters } = open(queue, 2);
    await letters.redrive({ kind: 'ids', ids: ['c0'] });
    expect(await letters.purge({ kind: 'ids', ids: ['c0', 'waiting'] })).toEqual({
      count: 1,
      skipped: 1,
      notFound: ['waiting'],
    });
    const first = await letters.purge({ kind: 'filter', filter: FILTER });
    expect(first.count).toBe(2);
    expect(await letters.purge({ kind: 'filter', filter: { ...FILTER, cursor: first.next } })).toMatchObject({
      count: 1,
    });
    expect((await stateOf(queue)).left).toEqual([]);
    expect((await queue.get('waiting'))?.state).toBe('queued');
  });
});
