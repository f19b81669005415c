import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createBench, isIn, NS, until } from '../../../../testing/harness/dispatcher-bench.ts';
import { eventually } from '../../../../testing/harness/gateway.ts';
import { EbbError } from '../core/errors.ts';
import { createMemoryQueue } from '../store/memory/memory-queue.ts';
import type { Queue } from '../store/queue.ts';

describe('leases', () => {
  test('A4: an attempt whose lease somebody else has is ended, and writes nothing', async () => {
    await using bench = await createBench({
      act: async ({ attempt }, signal) => {
        if (attempt > 1) return {};
        await until(signal);
        return { status: 201 };
      },
      leaseMs: 60,
    });
    await bench.submit('a');
    await eventually(() => bench.made.length === 1);
    // Another server, of which this one knows nothing.
    expect(await bench.queue.reclaim({ now: bench.clock.now(), owners: ['run-2'] })).toHaveLength(1);
    await eventually(() => bench.running() === 0);
    bench.dispatcher.poke([`${NS}/hello`]);
    await eventually(isIn(bench, 'a', 'succeeded'));
    expect((await bench.get('a')).attempts).toMatchObject([
      { number: 1, end: 'lost' },
      { number: 2, end: 'succeeded', status: 200 },
    ]);
  });

  test('long work keeps its lease', async () => {
    const hold = Promise.withResolvers<void>();
    await using bench = await createBench({ act: () => hold.promise.then(() => ({})), leaseMs: 60 });
    await bench.submit('a');
    await sleep(200);
    expect(await bench.queue.reclaim({ now: bench.clock.now() })).toEqual([]);
    hold.resolve();
    await eventually(isIn(bench, 'a', 'succeeded'));
    expect(bench.made).toHaveLength(1);
  });

  test('what a server that is gone had begun is begun anew at once, with the next number', async () => {
    const queue = createMemoryQueue();
    const before = await createBench({ queue, owner: 'run-0', act: () => new Promise(() => {}) });
    await before.submit('a');
    await eventually(() => before.made.length === 1);
    await using bench = await createBench({ queue });
    await eventually(isIn(bench, 'a', 'succeeded'));
    expect(bench.made.map(({ attempt }) => attempt)).toEqual([2]);
    expect((await bench.get('a')).failures).toBe(0);
  });

  test('an outcome that cannot be written is tried again, and counts once', async () => {
    const inner = createMemoryQueue();
    let failing = 2;
    const queue: Queue = Object.assign(Object.create(inner) as Queue, {
      async settle(...given: Parameters<Queue['settle']>) {
        failing -= 1;
        // The second time it is written, though nobody is told.
        const settled = failing === 1 ? [] : await inner.settle(...given);
        if (failing >= 0) throw new EbbError('STORE_FAILED', 'the disk is full');
        return settled;
      },
    });
    await using bench = await createBench({ queue });
    await bench.submit('a');
    await eventually(isIn(bench, 'a', 'succeeded'));
    await eventually(() => bench.dispatcher.running === 0);
    expect((await bench.get('a')).attempts).toHaveLength(1);
  });
});

describe('stopping', () => {
  test('cancelling a call that runs ends its attempt, whatever that comes to', async () => {
    await using bench = await createBench({
      act: async (_lease, signal) => until(signal).then(() => ({ verdict: 'aborted' })),
    });
    await bench.submit('a');
    await eventually(() => bench.running() === 1);
    expect(bench.dispatcher.abort('a', 'not wanted')).toBe(true);
    expect(bench.dispatcher.abort('b', 'not wanted')).toBe(false);
    await eventually(isIn(bench, 'a', 'cancelled'));
    const record = await bench.get('a');
    expect(record.cancelled).toBe('not wanted');
    expect(record.attempts).toMatchObject([{ number: 1, end: 'cancelled' }]);
    expect(bench.dispatcher.abort('a', 'again')).toBe(false);
  });

  test('attempts that run go on while nothing new begins', async () => {
    const hold = Promise.withResolvers<void>();
    await using bench = await createBench({ act: () => hold.promise.then(() => ({})) });
    await bench.submit('a');
    await eventually(() => bench.running() === 1);
    await bench.dispatcher.stop();
    await bench.submit('b');
    await sleep(20);
    expect(bench.made).toHaveLength(1);
    hold.resolve();
    await eventually(isIn(bench, 'a', 'succeeded'));
    expect((await bench.get('b')).state).toBe('queued');
    bench.dispatcher.resume();
    await eventually(isIn(bench, 'b', 'succeeded'));
  });

  test('what still runs at the end is given back: made anew, and nothing counts', async () => {
    const queue = createMemoryQueue();
    const bench = await createBench({
      queue,
      act: async (_lease, signal) => until(signal).then(() => ({ verdict: 'aborted' })),
    });
    await bench.submit('a');
    await eventually(() => bench.running() === 1);
    await bench.dispatcher[Symbol.asyncDispose]();
    expect(await queue.get('a')).toMatchObject({ state: 'queued', failures: 0, begun: 1 });
    expect((await queue.get('a'))?.attempts).toMatchObject([{ end: 'platform' }]);
  });
});
