import { aliasSpecSchema } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import type { FunctionRecord, RegistryChange } from '../core/ports.ts';
import { bucketOf, DURATION_BUCKETS, quantileMs, upperMs } from './fold-durations.ts';
import type { InvocationEvent } from './invocation-event.ts';
import { createVersionTally } from './version-tally.ts';

/** A registry with one function whose `live` can be pointed elsewhere. */
function createRegistry(versions: Readonly<Record<string, number>>) {
  const listeners = new Set<(change: RegistryChange) => void>();
  const recordOf = (weights: Readonly<Record<string, number>>) =>
    ({
      namespace: 'ns',
      name: 'web',
      aliases: [{ name: 'live', spec: aliasSpecSchema.parse({ versions: weights }), updatedAt: 0 }],
    }) as unknown as FunctionRecord;
  return {
    list: () => [recordOf(versions)],
    watch: (listener: (change: RegistryChange) => void) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    point(weights: Readonly<Record<string, number>>) {
      for (const listener of listeners) listener({ kind: 'changed', record: recordOf(weights) });
    },
  };
}

function event(version: number, more: Partial<InvocationEvent> = {}): InvocationEvent {
  return {
    callId: 'c',
    namespace: 'ns',
    name: 'web',
    label: 'web.ns',
    version,
    method: 'GET',
    status: 200,
    startedAt: 0,
    durationMs: 12,
    cold: false,
    phases: { queueMs: 2, firstByteMs: 5 },
    ...more,
  };
}

describe('createVersionTally', () => {
  test('counts nothing while one version has all calls', () => {
    const tally = createVersionTally(createRegistry({ 1: 100 }));
    tally.record(event(1));
    expect(tally.take()).toEqual([]);
  });

  test('counts each version that shares the calls, also one with no weight yet, and forgets what was taken', () => {
    const registry = createRegistry({ 1: 100 });
    const tally = createVersionTally(registry);
    registry.point({ 1: 100, 2: 0 });
    tally.record(event(1));
    tally.record(event(2));
    tally.record(event(2, { label: 'other.ns' }));
    expect(tally.take().map(({ version, calls }) => [version, calls])).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(tally.take()).toEqual([]);
    registry.point({ 2: 100 });
    tally.record(event(2));
    expect(tally.take()).toEqual([]);
  });

  test.each([
    ['a 5xx the function answered', { status: 503 }, 1, 1],
    ['a crash', { status: 502, errorCode: 'INSTANCE_CRASHED' }, 1, 1],
    ['a time-out', { status: 504, errorCode: 'FUNCTION_TIMEOUT' }, 1, 1],
    ['a start that failed', { status: 503, errorCode: 'START_FAILED', cold: true }, 1, 1],
    ['a 4xx', { status: 404 }, 1, 0],
    ['a 499 of the function itself', { status: 499 }, 1, 0],
    ['a full line', { status: 429, errorCode: 'QUEUE_FULL' }, 0, 0],
    ['a server that shuts down', { status: 503, errorCode: 'DRAINING' }, 0, 0],
    ['an engine that is away', { status: 503, errorCode: 'ENGINE_UNAVAILABLE' }, 0, 0],
  ] as const)('only the function’s faults count: %s', (_what, more, calls, failed) => {
    let told = 0;
    const tally = createVersionTally(createRegistry({ 1: 50, 2: 50 }), () => (told += 1));
    tally.record(event(1, more));
    expect(tally.take().map((one) => [one.calls, one.failed])).toEqual(calls === 0 ? [] : [[calls, failed]]);
    expect(told).toBe(failed);
  });

  test('a caller that gave up is no failure, but how long it waited counts', () => {
    const tally = createVersionTally(createRegistry({ 1: 50, 2: 50 }));
    tally.record(event(1, { status: 499, durationMs: 1002, phases: { queueMs: 2 } }));
    expect(tally.take()).toMatchObject([{ calls: 0, failed: 0, durations: [[bucketOf(1000), 1]] }]);
  });

  test('neither waiting, nor cold starts, nor the life of WebSockets are the function’s time', () => {
    const tally = createVersionTally(createRegistry({ 1: 50, 2: 50 }));
    tally.record(event(1));
    tally.record(event(1, { cold: true, durationMs: 900 }));
    tally.record(event(1, { status: 101, durationMs: 90_000 }));
    expect(tally.take()).toMatchObject([{ calls: 3, durations: [[bucketOf(10), 1]] }]);
  });
});

describe('buckets of durations', () => {
  test('hold what is at most their bound and more than that of the one before', () => {
    for (let bucket = 1; bucket < DURATION_BUCKETS - 1; bucket += 1) {
      expect(bucketOf(upperMs(bucket) * 0.9999)).toBe(bucket);
      expect(bucketOf(upperMs(bucket) * 1.0001)).toBe(bucket + 1);
    }
    expect([bucketOf(0), bucketOf(-1), bucketOf(Number.NaN), bucketOf(1e9)]).toEqual([0, 0, 0, DURATION_BUCKETS - 1]);
  });

  test('give a percentile that is at most a tenth too high', () => {
    const counts = Array.from({ length: DURATION_BUCKETS }, () => 0);
    for (let ms = 1; ms <= 100; ms += 1) counts[bucketOf(ms)] = (counts[bucketOf(ms)] ?? 0) + 1;
    expect(quantileMs(counts, 0.95)).toBeGreaterThanOrEqual(95);
    expect(quantileMs(counts, 0.95)).toBeLessThan(105);
    expect(quantileMs([], 0.95)).toBeUndefined();
  });
});
