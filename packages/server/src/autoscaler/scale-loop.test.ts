import { type FunctionSpecInput, functionSpecSchema, resolveLimits } from '@ebb/contract';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Clock } from '../core/clock.ts';
import type { Scalable } from './scalable.ts';
import { ScaleLoop, type ScaleLoopOptions } from './scale-loop.ts';

const EPOCH = Date.parse('2026-11-23T00:00:00Z');
const MINUTE = 60_000;

interface Version {
  readonly scalable: Scalable;
  readonly told: number[];
  readonly reasons: string[];
  /** How many it was asked to give up although they may be at work. */
  readonly given: number[];
  /** A call comes at this moment and is over at once. */
  call(): void;
}

beforeEach(() => {
  vi.useFakeTimers({ now: EPOCH });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Time as the fake timers tell it. */
const clock: Clock = { now: () => Date.now(), monotonic: () => Date.now() - EPOCH };

/** A version that is told its size and does nothing about it until a test does; `obeys` makes it obey at once. */
function createVersion(state: {
  readonly ready?: number;
  readonly waiting?: number;
  readonly idleMs?: number[];
  readonly leaving?: number;
  /** Of those, the ones that were given up. */
  readonly releasing?: number;
  readonly spec?: Partial<FunctionSpecInput>;
  readonly obeys?: boolean;
}): Version {
  const spec = functionSpecSchema.parse({ runtime: 'node', ...state.spec });
  const told: number[] = [];
  const reasons: string[] = [];
  const given: number[] = [];
  let ready = state.ready ?? 0;
  let arrivals = 0;
  let waiting = state.waiting ?? 0;
  let idleSince: number[] = [];
  let onCall = () => {};
  const scalable: Scalable & { arrivals: number } = {
    version: { namespace: 'n', name: 'f', limits: resolveLimits(spec) },
    inFlight: 0,
    get waiting() {
      return waiting;
    },
    get ready() {
      return ready;
    },
    get arrivals() {
      return arrivals;
    },
    startMs: 250,
    starting: 0,
    releasing: state.releasing ?? 0,
    get size() {
      return ready + (state.leaving ?? 0);
    },
    retiring: false,
    idleMs: () => (state.obeys === true ? idleSince.map((since) => clock.monotonic() - since) : (state.idleMs ?? [])),
    instances: () => Array.from({ length: ready }, (_, index) => ({ id: `i${index}`, state: 'busy' as const })),
    scaleTo: (desired, { reason }) => {
      told.push(desired);
      reasons.push(reason);
      if (state.obeys !== true) return;
      while (idleSince.length < desired) idleSince.push(clock.monotonic());
      idleSince = idleSince.slice(0, desired);
      ready = desired;
      waiting = 0;
    },
    giveUp: (count) => void given.push(count),
  };
  onCall = () => {
    arrivals += 1;
    if (ready === 0) waiting += 1;
    else idleSince[0] = clock.monotonic();
  };
  return { scalable, told, reasons, given, call: () => onCall() };
}

function createLoop(all: readonly Version[], more: Partial<ScaleLoopOptions> = {}): ScaleLoop {
  return new ScaleLoop({
    all: () => all.map(({ scalable }) => scalable),
    maxInstances: 100,
    everyMs: 500,
    clock,
    stats: () => Promise.reject(new Error('unused')),
    ...more,
  });
}

async function poke(all: readonly Version[], more: Partial<ScaleLoopOptions>): Promise<void> {
  const loop = createLoop(all, more);
  for (const { scalable } of all) if (scalable.waiting > 0) loop.poke(scalable);
  await vi.advanceTimersByTimeAsync(2);
}

const kept = { scale: { idle: '1h' } };

describe('a full host', () => {
  test('gives up the instance that was idle longest', async () => {
    const recent = createVersion({ ready: 2, idleMs: [10, 20], spec: kept });
    const old = createVersion({ ready: 1, idleMs: [900], spec: kept });
    await poke([recent, old, createVersion({ waiting: 1 })], { maxInstances: 3 });
    expect([recent.told, old.told]).toEqual([[], [0]]);
    expect(old.reasons).toEqual(['made room for other functions']);
  });

  test('gives up no more while one is already on its way out', async () => {
    const leaving = createVersion({ leaving: 1 });
    const idle = createVersion({ ready: 2, idleMs: [100, 100], spec: kept });
    await poke([leaving, idle, createVersion({ waiting: 1 })], { maxInstances: 3 });
    expect(idle.told).toEqual([]);
  });

  test('never goes below the minimum of another', async () => {
    const needed = createVersion({ ready: 1, idleMs: [900], spec: { scale: { min: 1 } } });
    await poke([needed, createVersion({ waiting: 1 })], { maxInstances: 1 });
    expect(needed.told).toEqual([]);
  });

  test('never goes below what a schedule wants of another', async () => {
    const schedule = [{ cron: '0 0 * * *', for: '1h', min: 1 }];
    const needed = createVersion({ ready: 1, idleMs: [900], spec: { scale: { schedule } } });
    await poke([needed, createVersion({ waiting: 1 })], { maxInstances: 1 });
    expect(needed.told).toEqual([]);
  });
});

test('E3: what a version gave up counts for its maximum until it has ended', async () => {
  const version = createVersion({
    ready: 1,
    waiting: 9,
    leaving: 2,
    releasing: 2,
    spec: { concurrency: 1, scale: { max: 4 } },
  });
  await poke([version], {});
  expect(version.told).toEqual([2]);
});

describe('a fair share of a full host', () => {
  const named = (name: string, version: Version): Version => {
    Object.assign(version.scalable.version, { name });
    return version;
  };
  const one = { concurrency: 1, scale: { idle: '1h' } };

  test('is taken from who has more, busy or not, and not asked for twice', async () => {
    const loud = named('loud', createVersion({ ready: 4, waiting: 9, spec: one }));
    const calm = named('calm', createVersion({ waiting: 1, spec: one }));
    using loop = createLoop([loud, calm], { maxInstances: 4 });
    loop.poke(calm.scalable);
    await vi.advanceTimersByTimeAsync(2);
    expect([loud.given, loud.told, calm.told]).toEqual([[1], [], []]);
    const leaving = named('loud', createVersion({ ready: 3, leaving: 1, waiting: 9, spec: one }));
    using later = createLoop([leaving, calm], { maxInstances: 4 });
    later.poke(calm.scalable);
    await vi.advanceTimersByTimeAsync(200);
    expect([leaving.given, calm.told]).toEqual([[], []]);
  });

  test('keeps what is free for who has a right to it, though others ask first', async () => {
    const loud = named('loud', createVersion({ ready: 2, waiting: 9, spec: one }));
    const calm = named('calm', createVersion({ waiting: 3, leaving: 1, spec: one }));
    using loop = createLoop([loud, calm], { maxInstances: 4 });
    loop.poke(calm.scalable);
    await vi.advanceTimersByTimeAsync(2);
    loop.poke(loud.scalable);
    await vi.advanceTimersByTimeAsync(2);
    expect([calm.told, loud.told]).toEqual([[1], []]);
  });

  test('is nobody’s alone: where there is not one instance for each, it goes on after a while', async () => {
    const holder = named('holder', createVersion({ ready: 1, waiting: 9, spec: one }));
    const waiting = named('waiting', createVersion({ waiting: 1, spec: one }));
    using loop = createLoop([holder, waiting], { maxInstances: 1 });
    loop.poke(waiting.scalable);
    await vi.advanceTimersByTimeAsync(800);
    expect(holder.given).toEqual([]);
    await vi.advanceTimersByTimeAsync(300);
    expect(holder.given[0]).toBe(1);
  });
});

describe('a minimum while there is work', () => {
  test('holds from the first call on, until all were idle for long enough; then all go', async () => {
    const version = createVersion({ obeys: true, spec: { scale: { idle: '10s', minActive: 3 } } });
    using loop = createLoop([version]);
    loop.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(version.told).toEqual([]);
    version.call();
    loop.poke(version.scalable);
    await vi.advanceTimersByTimeAsync(9_000);
    expect([version.told, version.reasons]).toEqual([[3], ['the minimum while it is called']]);
    // One of three has work now and then, which is enough for all.
    for (let i = 0; i < 4; i += 1) {
      version.call();
      await vi.advanceTimersByTimeAsync(9_000);
    }
    expect(version.told).toEqual([3]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(version.told).toEqual([3, 0]);
  });
});

describe('a function scaled to zero by hand', () => {
  test('is not started again for the calls of the past, and gives up at once what is still idle', async () => {
    const version = createVersion({ obeys: true, spec: { scale: { mode: 'rps', target: 1, idle: '1h', min: 1 } } });
    using loop = createLoop([version]);
    loop.start();
    for (let i = 0; i < 40; i += 1) {
      version.call();
      await vi.advanceTimersByTimeAsync(250);
    }
    expect(version.told.at(-1)).toBeGreaterThan(1);
    Object.assign(version.scalable, { minimum: 0, isAtZero: true });
    await vi.advanceTimersByTimeAsync(1_000);
    expect([version.told.at(-1), version.reasons.at(-1)]).toEqual([0, 'scaled to 0 by hand']);
    const decided = version.told.length;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(version.told).toHaveLength(decided);
    version.call();
    loop.poke(version.scalable);
    await vi.advanceTimersByTimeAsync(10);
    expect(version.told.at(-1)).toBe(1);
  });
});

describe('a memory budget', () => {
  const large = { memory: '512Mi', scale: { idle: '1h' } };

  test('is never exceeded: what does not fit is not started', async () => {
    const busy = createVersion({ ready: 3, spec: large });
    const waiting = createVersion({ waiting: 30, spec: { memory: '256Mi' } });
    await poke([busy, waiting], { memoryBudgetBytes: 2 ** 31 });
    expect(waiting.told).toEqual([2]);
  });

  test('has idle instances make room, as many as are enough', async () => {
    const idle = createVersion({ ready: 4, idleMs: [1, 2, 3, 4], spec: large });
    const waiting = createVersion({ waiting: 1, spec: { memory: '1Gi' } });
    await poke([idle, waiting], { memoryBudgetBytes: 2 ** 31 });
    expect([idle.told, waiting.told]).toEqual([[2], []]);
  });

  test('has nobody go where that would not be enough', async () => {
    const idle = createVersion({ ready: 1, idleMs: [1], spec: large });
    const busy = createVersion({ ready: 3, spec: { ...large, scale: { idle: '1h', min: 3 } } });
    await poke([idle, busy, createVersion({ waiting: 1, spec: { memory: '1Gi' } })], { memoryBudgetBytes: 2 ** 31 });
    expect(idle.told).toEqual([]);
  });

  test('gives up what is worth least under greedy-dual, not what was idle longest', async () => {
    const often = createVersion({ ready: 1, idleMs: [900], spec: { ...large, memory: '64Mi' } });
    const seldom = createVersion({ ready: 1, idleMs: [10], spec: { ...large, memory: '192Mi' } });
    const third = createVersion({ waiting: 1, spec: { memory: '64Mi' } });
    Object.assign(seldom.scalable.version, { name: 'seldom' });
    Object.assign(third.scalable.version, { name: 'third' });
    const loop = createLoop([often, seldom, third], { memoryBudgetBytes: 2 ** 28, keepAlive: 'greedy-dual' });
    for (let count = 0; count < 5; count += 1) often.call();
    seldom.call();
    for (const { scalable } of [often, seldom, third]) loop.poke(scalable);
    await vi.advanceTimersByTimeAsync(2);
    expect([often.told, seldom.told]).toEqual([[], [0]]);
  });
});

describe('calls that come together', () => {
  test('are one decision, though they are read in several turns of the event loop (S3)', async () => {
    const version = createVersion({ spec: { concurrency: 10, scale: { max: 20 } } });
    using loop = createLoop([version]);
    const come = (count: number) => {
      for (let call = 0; call < count; call += 1) {
        version.call();
        loop.poke(version.scalable);
      }
    };
    come(1);
    await vi.advanceTimersByTimeAsync(0);
    come(136);
    await vi.advanceTimersByTimeAsync(1);
    come(63);
    await vi.advanceTimersByTimeAsync(20);
    expect(version.told).toEqual([20]);
  });

  test('do not put the decision off for as long as they keep coming', async () => {
    const version = createVersion({ spec: { concurrency: 1, scale: { max: 1000 } } });
    using loop = createLoop([version]);
    for (let count = 0; count < 15; count += 1) {
      version.call();
      version.call();
      loop.poke(version.scalable);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(version.told.length).toBeGreaterThan(0);
  });

  test('and one that comes alone is decided within a moment', async () => {
    const version = createVersion({});
    using loop = createLoop([version]);
    version.call();
    loop.poke(version.scalable);
    await vi.advanceTimersByTimeAsync(2);
    expect(version.told).toEqual([1]);
  });
});

describe('calls that come at regular times', () => {
  /** Calls every 20 minutes for some hours; how many found no instance. */
  async function coldCalls(keepAlive: 'fixed' | 'histogram' | 'auto'): Promise<{ cold: boolean[]; reasons: string[] }> {
    const version = createVersion({ obeys: true });
    using loop = createLoop([version], { keepAlive });
    loop.start();
    const cold: boolean[] = [];
    for (let count = 0; count < 15; count += 1) {
      cold.push(version.scalable.ready === 0);
      version.call();
      if (version.scalable.waiting > 0) loop.poke(version.scalable);
      await vi.advanceTimersByTimeAsync(20 * MINUTE);
    }
    return { cold, reasons: version.reasons };
  }

  test('are cold every time under fixed', async () => {
    expect((await coldCalls('fixed')).cold).not.toContain(false);
  });

  test.each(['histogram', 'auto'] as const)('find an instance once %s has learnt them', async (keepAlive) => {
    const { cold, reasons } = await coldCalls(keepAlive);
    expect(cold.slice(10)).toEqual([false, false, false, false, false]);
    expect(reasons).toContain('a call is expected');
  });
});

describe('a schedule', () => {
  test('starts instances when it begins and lets them go when it is over and they are idle', async () => {
    const schedule = [{ cron: '30 0 * * *', for: '1h', min: 2 }];
    const version = createVersion({ obeys: true, spec: { scale: { schedule } } });
    using loop = createLoop([version]);
    loop.start();
    await vi.advanceTimersByTimeAsync(29 * MINUTE);
    expect(version.told).toEqual([]);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect([version.scalable.ready, version.reasons]).toEqual([2, ['the schedule "30 0 * * *"']]);
    await vi.advanceTimersByTimeAsync(58 * MINUTE);
    expect(version.scalable.ready).toBe(2);
    await vi.advanceTimersByTimeAsync(7 * MINUTE);
    expect(version.scalable.ready).toBe(0);
  });
});

describe('scaling by CPU', () => {
  const spec = { scale: { mode: 'cpu', target: 50, idle: '1h' } } as const;

  test('follows what the instances use', async () => {
    const version = createVersion({ obeys: true, ready: 1, spec });
    // Three cores, as the engine's counters of CPU time tell it.
    using loop = createLoop([version], {
      stats: () => Promise.resolve({ memoryBytes: 1, cpuMs: 3 * clock.monotonic() }),
    });
    loop.start();
    await vi.advanceTimersByTimeAsync(11_000);
    expect(version.told[0]).toBe(6);
    expect(version.reasons[0]).toMatch(/^3 cores in use in the/);
  });

  test('S1: decides nothing while the engine does not answer', async () => {
    const version = createVersion({ obeys: true, ready: 1, spec });
    using loop = createLoop([version]);
    loop.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(version.told).toEqual([]);
  });
});

test('scaling by calls a second follows the calls that came, however short they were', async () => {
  const version = createVersion({ obeys: true, ready: 1, spec: { scale: { mode: 'rps', target: 10 } } });
  using loop = createLoop([version]);
  loop.start();
  for (let count = 0; count < 200; count += 1) {
    version.call();
    version.call();
    await vi.advanceTimersByTimeAsync(50);
  }
  expect(version.scalable.ready).toBe(4);
});
