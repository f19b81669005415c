import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { activeCalls, instancesFor, type WarmablePool, warmUp } from './warm-up.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A pool that a test sets the instances of. */
function createPool(state: { ready: number; held?: number; idleMs?: number[]; fails?: boolean; concurrency?: number }) {
  const pool = {
    version: { limits: { concurrency: state.concurrency ?? 1, scaleMax: 20 } },
    ready: state.ready,
    held: state.held ?? 0,
    startsHeld: () => (state.fails === true ? 'they keep failing' : undefined),
    idleMs: () => state.idleMs ?? [],
    hold(count: number) {
      pool.held = count;
    },
  } satisfies WarmablePool;
  return pool;
}

/** Whether the pool is warm by now. */
async function isOver(warming: Promise<void>): Promise<boolean> {
  const still = Symbol('still');
  return (await Promise.race([warming, Promise.resolve(still)])) !== still;
}

test('the load is what instances are there for that were at work of late', () => {
  const pools = [createPool({ ready: 5, idleMs: [10, 60_000, 90_000] }), createPool({ ready: 2, concurrency: 10 })];
  expect(activeCalls(pools)).toBe(3 + 20);
  expect(instancesFor(23, { concurrency: 10, scaleMax: 20 })).toBe(3);
  expect(instancesFor(2_300, { concurrency: 10, scaleMax: 20 })).toBe(20);
});

describe('warming up', () => {
  test('ends when the instances are ready, keeps them for a moment and then lets go', async () => {
    const pool = createPool({ ready: 1 });
    const warming = warmUp(pool, 3, 500, () => false);
    await vi.advanceTimersByTimeAsync(100);
    expect([pool.held, await isOver(warming)]).toEqual([3, false]);
    pool.ready = 3;
    await vi.advanceTimersByTimeAsync(10);
    expect([pool.held, await isOver(warming)]).toEqual([3, true]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(pool.held).toBe(0);
  });

  test.each<[string, { readonly fails?: boolean }, () => boolean]>([
    ['after its limit', {}, () => false],
    ['when starts keep failing', { fails: true }, () => false],
    ['when the server stops', {}, () => true],
  ])('ends %s', async (_when, more, isStopping) => {
    const warming = warmUp(createPool({ ready: 1, ...more }), 3, 500, isStopping);
    await vi.advanceTimersByTimeAsync(510);
    expect(await isOver(warming)).toBe(true);
  });

  test('leaves a pool alone that has enough, or whose instances a rollout keeps', async () => {
    for (const pool of [createPool({ ready: 3 }), createPool({ ready: 1, held: 2 })]) {
      const before = pool.held;
      await warmUp(pool, 3, 500, () => false);
      expect(pool.held).toBe(before);
    }
  });
});
