import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createBench, HOUR_MS, isIn, type logger, NS } from '../../../../testing/harness/dispatcher-bench.ts';
import { eventually } from '../../../../testing/harness/gateway.ts';
import { EbbError } from '../core/errors.ts';
import { createMemoryQueue } from '../store/memory/memory-queue.ts';
import type { NewItem, Queue } from '../store/queue.ts';

describe('an attempt', () => {
  test('is made at once, and its outcome and answer are kept', async () => {
    const result = { status: 200, headers: [], body: { kind: 'bytes', bytes: Buffer.from('hi') } } as const;
    const ended: string[] = [];
    await using bench = await createBench({
      act: () => ({ result, version: 3, instance: 'i' }),
      onEnded: (id) => ended.push(id),
    });
    await bench.submit('a');
    await eventually(isIn(bench, 'a', 'succeeded'));
    const record = await bench.get('a');
    expect(record.result).toEqual(result);
    expect(record.attempts).toMatchObject([{ number: 1, end: 'succeeded', status: 200, version: 3, instance: 'i' }]);
    expect(ended).toEqual(['a']);
  });

  test('A3: failed attempts are made again with the next number, until the function allows no more', async () => {
    await using bench = await createBench({ act: () => ({ status: 500 }), policy: { attempts: 3 } });
    await bench.submit('a');
    await eventually(isIn(bench, 'a', 'dead'));
    expect(bench.made.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    const { dead, attempts, failures } = await bench.get('a');
    expect(dead).toMatchObject({ reason: 'attempts' });
    expect(dead?.message).toContain('3 attempts failed');
    expect(attempts.map(({ end }) => end)).toEqual(['failed', 'failed', 'failed']);
    expect(failures).toBe(3);
  });

  test('the platform’s own faults use up no attempts', async () => {
    let count = 0;
    await using bench = await createBench({
      act: () => {
        count += 1;
        return count < 3 ? { verdict: 'platform', status: 503, errorCode: 'ENGINE_UNAVAILABLE', retryAfterMs: 1 } : {};
      },
      policy: { attempts: 1 },
    });
    await bench.submit('a');
    await eventually(isIn(bench, 'a', 'succeeded'));
    expect((await bench.get('a')).attempts.map(({ end }) => end)).toEqual(['platform', 'platform', 'succeeded']);
  });

  test('a call for what is gone goes to the dead letters and not to whoever has the name next', async () => {
    await using bench = await createBench({
      act: () => ({ verdict: 'gone', status: 404, message: 'no such function' }),
    });
    await bench.submit('a');
    await eventually(isIn(bench, 'a', 'dead'));
    expect((await bench.get('a')).dead).toEqual({ reason: 'gone', message: 'no such function' });
  });

  test('a deliverer that throws is a defect of the platform, and tried again', async () => {
    let count = 0;
    await using bench = await createBench({
      act: () => {
        count += 1;
        if (count === 1) throw new Error('a defect');
        return {};
      },
    });
    await bench.submit('a');
    await eventually(isIn(bench, 'a', 'succeeded'));
    expect((await bench.get('a')).attempts[0]).toMatchObject({ end: 'platform', errorCode: 'INTERNAL' });
  });

  test('outcomes are followed by what is to be queued with them, which is delivered too', async () => {
    await using bench = await createBench({
      followUps: ({ record, ending }) =>
        record.id === 'a' ? [{ ...record, id: 'b', lane: `${NS}/url:example.org`, path: `/${ending.kind}` }] : [],
    });
    await bench.submit('a');
    await eventually(async () => (await bench.queue.get('b'))?.state === 'succeeded');
    expect((await bench.get('b')).path).toBe('/succeeded');
  });
});

describe('when', () => {
  test('a call with a moment begins then, one that is too old not at all', async () => {
    await using bench = await createBench();
    const now = bench.clock.now();
    await bench.submit('later', { runAt: now + 60 });
    await bench.submit('old', { expiresAt: now });
    await eventually(isIn(bench, 'later', 'succeeded'));
    expect(bench.made.find(({ id }) => id === 'later')?.at).toBeGreaterThanOrEqual(now + 60);
    await eventually(isIn(bench, 'old', 'dead'));
    expect((await bench.get('old')).dead).toMatchObject({ reason: 'expired' });
    expect((await bench.get('old')).attempts).toEqual([]);
  });

  test('a call that waits for its key grows too old all the same', async () => {
    const hold = Promise.withResolvers<void>();
    await using bench = await createBench({ act: () => hold.promise.then(() => ({})) });
    const rules = { key: 'k', order: 'strict', concurrency: 1, throttleMs: 0, debounceMs: 0 } as const;
    await bench.submit('first', { rules });
    await eventually(() => bench.made.length === 1);
    await bench.submit('second', { rules, expiresAt: bench.clock.now() + 10 });
    await sleep(15);
    await bench.dispatcher.sweep();
    expect((await bench.get('second')).dead).toMatchObject({ reason: 'expired' });
    hold.resolve();
  });

  test('strict order: the next of a key begins when the one before it has ended, retries included', async () => {
    await using bench = await createBench({
      act: ({ attempt, record }) => ({ status: record.id === 'a' && attempt < 3 ? 500 : 200 }),
    });
    const rules = { key: 'k', order: 'strict', concurrency: 1, throttleMs: 0, debounceMs: 0 } as const;
    for (const id of ['a', 'b', 'c']) await bench.submit(id, { rules });
    await eventually(isIn(bench, 'c', 'succeeded'));
    expect(bench.made.map(({ id, attempt }) => `${id}${attempt}`)).toEqual(['a1', 'a2', 'a3', 'b1', 'c1']);
  });

  test.each([HOUR_MS, -HOUR_MS])(
    '35: a clock that jumps by %i ms ends no lease and starts nothing twice',
    async (jumpMs) => {
      const hold = Promise.withResolvers<void>();
      await using bench = await createBench({ act: () => hold.promise.then(() => ({})) });
      await bench.submit('before');
      await eventually(() => bench.made.length === 1);
      bench.clock.jumpMs = jumpMs;
      await bench.dispatcher.sweep();
      await bench.submit('after');
      await eventually(() => bench.made.length === 2);
      await bench.dispatcher.sweep();
      hold.resolve();
      await eventually(
        async () => (await isIn(bench, 'before', 'succeeded')()) && (await isIn(bench, 'after', 'succeeded')()),
      );
      expect(bench.made.map(({ id, attempt }) => `${id}${attempt}`)).toEqual(['before1', 'after1']);
    },
  );

  test('35: a call that waits for a moment begins within a second or so of a jump over it', async () => {
    await using bench = await createBench();
    await bench.submit('later', { runAt: bench.clock.now() + HOUR_MS });
    await sleep(20);
    bench.clock.jumpMs = HOUR_MS;
    await eventually(isIn(bench, 'later', 'succeeded'), 2_000);
  });
});

describe('how many', () => {
  test('as many attempts run at once as the instances take, twice over', async () => {
    const hold = Promise.withResolvers<void>();
    let ready = 0;
    await using bench = await createBench({
      act: () => hold.promise.then(() => ({})),
      room: () => ({ perInstance: 2, ready, most: 20 }),
    });
    for (let i = 0; i < 50; i += 1) await bench.submit(`c${i}`);
    await eventually(() => bench.running() === 2);
    ready = 2;
    await eventually(() => bench.running() === 8);
    await sleep(20);
    expect(bench.running()).toBe(8);
    hold.resolve();
    await eventually(isIn(bench, 'c49', 'succeeded'));
  });

  test('the bound over all lanes is shared evenly between namespaces', async () => {
    const hold = Promise.withResolvers<void>();
    const begun: string[] = [];
    await using bench = await createBench({
      act: ({ record }) => {
        begun.push(record.namespace);
        return hold.promise.then(() => ({}));
      },
      maxRunning: 10,
    });
    const queued: Promise<void>[] = [];
    for (const [lane, namespace] of [
      ['a/1', 'a'],
      ['a/2', 'a'],
      ['a/3', 'a'],
      ['b/1', 'b'],
    ] as const) {
      for (let i = 0; i < 10; i += 1) queued.push(bench.submit(`${lane}-${i}`, { lane, namespace }));
    }
    await Promise.all(queued);
    await eventually(() => bench.running() === 10);
    expect(begun.filter((namespace) => namespace === 'b')).toHaveLength(5);
    hold.resolve();
  });

  test('a refusal for now holds the lane as long as was asked for', async () => {
    let count = 0;
    await using bench = await createBench({
      act: () => {
        count += 1;
        return count === 1 ? { verdict: 'platform', status: 429, errorCode: 'RATE_LIMIT', retryAfterMs: 150 } : {};
      },
      room: () => ({ perInstance: 1, ready: 0, most: 1 }),
    });
    await bench.submit('a');
    await eventually(() => count === 1);
    await bench.submit('b');
    await eventually(isIn(bench, 'b', 'succeeded'));
    const [first, second] = bench.made;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(140);
  });

  test('a function that could not be started is called at once when it was deployed anew', async () => {
    let isBroken = true;
    await using bench = await createBench({
      act: () =>
        isBroken ? { verdict: 'failed', errorCode: 'HANDLER_FAILED', status: 503, retryAfterMs: 60_000 } : {},
      room: () => ({ perInstance: 1, ready: 0, most: 1 }),
    });
    await bench.submit('first');
    await eventually(() => bench.made.length === 1);
    await bench.submit('second');
    await sleep(20);
    expect(bench.made).toHaveLength(1);
    isBroken = false;
    bench.dispatcher.changed(`${NS}/hello`);
    await eventually(isIn(bench, 'second', 'succeeded'));
  });

  test('a queue that fails is asked again, and that is said once', async () => {
    const inner = createMemoryQueue();
    let failing = 2;
    const said: string[] = [];
    const queue: Queue = Object.assign(Object.create(inner) as Queue, {
      async lease(request: Parameters<Queue['lease']>[0]) {
        failing -= 1;
        if (failing >= 0) throw new EbbError('STORE_FAILED', 'the disk is gone');
        return inner.lease(request);
      },
    });
    await using bench = await createBench({
      queue,
      logger: { error: (_facts: unknown, text: string) => void said.push(text) } as unknown as typeof logger,
    });
    await bench.submit('a');
    await eventually(isIn(bench, 'a', 'succeeded'));
    expect(said).toHaveLength(1);
  });

  test('32: ten thousand poison messages hold up nobody', async () => {
    await using bench = await createBench({
      act: ({ record }) => (record.id.startsWith('bad') ? { status: 500 } : {}),
      policy: { attempts: 2 },
    });
    const now = bench.clock.now();
    const item = (id: string, lane: string): NewItem => ({
      id,
      namespace: lane.split('/')[0] ?? '',
      lane,
      target: { kind: 'function', namespace: NS, name: 'hello', qualifier: '' },
      method: 'POST',
      path: '/',
      headers: [],
      body: { kind: 'none' },
      acceptedAt: now,
      runAt: now,
      expiresAt: now + HOUR_MS,
      priority: 4,
    });
    const bad = Array.from({ length: 10_000 }, (_, i) => item(`bad${i}`, `${NS}/hello`));
    const good = (lane: string) => Array.from({ length: 20 }, (_, i) => item(`good-${lane}-${i}`, lane));
    const lanes = [`${NS}/hello`, `${NS}/other`, 'team/other'];
    await bench.queue.enqueue(bad);
    for (const lane of lanes) await bench.queue.enqueue(good(lane));
    bench.dispatcher.poke(lanes);
    const isGone = (namespace: string, left: number) => async () => {
      const { queued, running } = await bench.queue.count(namespace);
      return queued + running <= left;
    };
    // Other lanes do not notice, whatever is left to do in this one.
    await eventually(isGone('team', 0));
    await eventually(async () => (await bench.get(`good-${NS}/other-19`)).state === 'succeeded');
    expect((await bench.queue.count(NS)).queued).toBeGreaterThan(5_000);
    await eventually(isGone(NS, 0), 20_000);
    expect(await bench.queue.count(NS)).toMatchObject({ succeeded: 40, dead: 10_000 });
    const attemptsOf = new Map<string, number>();
    for (const { id } of bench.made) attemptsOf.set(id, (attemptsOf.get(id) ?? 0) + 1);
    expect(bad.every(({ id }) => attemptsOf.get(id) === 2)).toBe(true);
  });
});
