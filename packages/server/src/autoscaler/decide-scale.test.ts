import { functionSpecSchema, type ResolvedLimits, resolveLimits, SCALE_MODES } from '@ebb/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decideScale,
  foldChange,
  INITIAL_SCALE_STATE,
  type ScaleDecision,
  type ScaleObservation,
  type ScaleState,
  type ScaleWindows,
} from './decide-scale.ts';
import { LoadWindows } from './windows.ts';

const TICK_MS = 500;

const limitsOf = (spec: object): ResolvedLimits =>
  resolveLimits(functionSpecSchema.parse({ runtime: 'node', ...spec }));
const LIMITS = limitsOf({ concurrency: 10, scale: { max: 20, idle: '1s' } });

const seen = (more: Partial<ScaleObservation> = {}): ScaleObservation => ({
  inFlight: 0,
  waiting: 0,
  ready: 0,
  starting: 0,
  idleMs: [],
  retiring: false,
  ...more,
});

/** A decision that knows this moment alone. */
function decide(limits: ResolvedLimits, observation: ScaleObservation, more: Partial<ScaleWindows> = {}) {
  const floor = { count: limits.scaleMin, reason: 'min' };
  const windows = { seen: observation, stable: 0, burst: 0, floor, keepMs: limits.idleMs, ...more };
  return decideScale(limits, windows, INITIAL_SCALE_STATE, 0);
}

const anyLimits = fc
  .record({
    mode: fc.constantFrom(...SCALE_MODES),
    concurrency: fc.integer({ min: 1, max: 50 }),
    target: fc.integer({ min: 1, max: 100 }),
    utilization: fc.double({ min: 0.05, max: 1, noNaN: true }),
    a: fc.nat(30),
    b: fc.integer({ min: 1, max: 30 }),
    idle: fc.integer({ min: 100, max: 5_000 }),
    upRate: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
    downRate: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
    downDelay: fc.option(fc.nat(5_000), { nil: undefined }),
  })
  .map(({ mode, concurrency, target, utilization, a, b, idle, upRate, downRate, downDelay }) => {
    const down = downDelay === undefined ? undefined : `${downDelay}ms`;
    const bounds = { min: Math.min(a, b), max: b, idle: `${idle}ms` };
    return limitsOf({
      concurrency,
      scale: { ...bounds, mode, target, utilization, upRate, downRate, downDelay: down },
    });
  });

const anySeen = fc
  .record({
    inFlight: fc.nat(2_000),
    waiting: fc.nat(2_000),
    busy: fc.nat(30),
    starting: fc.nat(30),
    idleMs: fc.array(fc.nat(10_000), { maxLength: 30 }),
    retiring: fc.boolean(),
  })
  .map(({ busy, ...rest }) => ({ ...rest, ready: busy + rest.idleMs.length }));

const anyMean = fc.option(fc.double({ min: 0, max: 5_000, noNaN: true }), { nil: undefined });

/** The instances of one version under a load that a test makes up, each tick carried out at once. */
class Host {
  readonly limits: ResolvedLimits;
  readonly #windows: LoadWindows;
  #state: ScaleState = INITIAL_SCALE_STATE;
  #idleSince: number[] = [];
  now = 0;

  constructor(limits: ResolvedLimits) {
    this.limits = limits;
    this.#windows = new LoadWindows(limits.scaling);
  }

  get size(): number {
    return this.#idleSince.length;
  }

  /** One tick in which `load` is what the mode counts, and `atOnce` calls are there in its end. */
  tick(load: number, atOnce: number): ScaleDecision {
    const { limits } = this;
    this.now += TICK_MS;
    this.#windows.add(load, TICK_MS, this.now);
    const busy = Math.min(this.size, Math.ceil(atOnce / limits.concurrency));
    for (let index = 0; index < busy; index += 1) this.#idleSince[index] = this.now;
    const inFlight = Math.min(atOnce, this.size * limits.concurrency);
    const decision = decideScale(
      limits,
      {
        seen: seen({
          inFlight,
          waiting: atOnce - inFlight,
          ready: this.size,
          idleMs: this.#idleSince.slice(busy).map((since) => this.now - since),
        }),
        ...this.#windows.means(this.now),
        floor: { count: limits.scaleMin, reason: 'min' },
        keepMs: limits.idleMs,
      },
      this.#state,
      this.now,
    );
    const before = this.size;
    if (decision.kind === 'scale') {
      while (this.size < decision.desired) this.#idleSince.push(this.now);
      this.#idleSince = this.#idleSince.slice(0, decision.desired);
    }
    const change = { started: Math.max(0, this.size - before), stopped: Math.max(0, before - this.size) };
    this.#state = foldChange(decision.next, change, this.now);
    return decision;
  }
}

test('in mode queue calls that are in the queue count, and in no other mode', () => {
  const scale = { mode: 'queue' as const, target: 10, max: 50 };
  const decisionOf = (spec: object, more: object) => {
    const limits = resolveLimits(functionSpecSchema.parse({ runtime: 'node', ...spec }));
    const observation = { inFlight: 5, waiting: 5, ready: 1, starting: 0, idleMs: [], retiring: false };
    const floor = { count: 0, reason: 'min' };
    const windows = { seen: observation, stable: 0, burst: 0, floor, keepMs: limits.idleMs, ...more };
    return decideScale(limits, windows, INITIAL_SCALE_STATE, 0);
  };
  expect(decisionOf({ scale }, { backlog: 95 })).toMatchObject({
    kind: 'scale',
    desired: 10,
    floor: 10,
    reason: '95 calls are in the queue',
  });
  expect(decisionOf({ scale }, { backlog: 10_000 })).toMatchObject({ desired: 50 });
  expect(decisionOf({ scale }, {}).kind).toBe('hold');
  expect(decisionOf({ scale: { max: 50 } }, { backlog: 95 }).kind).toBe('hold');
});

describe('decideScale', () => {
  test('S1: no data means no decision', () => {
    expect(decideScale(LIMITS, undefined, INITIAL_SCALE_STATE, 0)).toMatchObject({ kind: 'hold', reason: 'no data' });
  });

  test('S1: where the load is not known, nothing but long idle instances is given up', () => {
    fc.assert(
      fc.property(anyLimits, anySeen, fc.nat(100_000), (limits, observation, now) => {
        fc.pre(!observation.retiring);
        const floor = { count: limits.scaleMin, reason: 'min' };
        const previous = { ...INITIAL_SCALE_STATE, needed: { sinceAt: 0, sizes: [] } };
        const windows = { seen: observation, stable: undefined, burst: undefined, floor, keepMs: limits.idleMs };
        const decision = decideScale(limits, windows, previous, now);
        const expired = observation.idleMs.filter((ms) => ms >= limits.idleMs).length;
        const have = observation.ready + observation.starting;
        if (decision.kind === 'scale') expect(decision.desired).toBeGreaterThanOrEqual(have - expired);
      }),
    );
  });

  test.each([
    ['one call at zero starts one instance', seen({ waiting: 1 }), 1],
    ['eleven calls at a concurrency of ten need two', seen({ inFlight: 10, waiting: 1, ready: 1 }), 2],
    ['a burst is answered in one decision', seen({ waiting: 150 }), 15],
    ['and never beyond max', seen({ waiting: 10_000 }), 20],
  ])('%s', (_what, observation, desired) => {
    expect(decide(LIMITS, observation)).toMatchObject({ kind: 'scale', desired });
  });

  test('an idle instance goes after its idle time, not before', () => {
    expect(decide(LIMITS, seen({ ready: 1, idleMs: [999] }))).toMatchObject({ kind: 'hold' });
    expect(decide(LIMITS, seen({ ready: 1, idleMs: [1_000] }))).toMatchObject({ kind: 'scale', desired: 0 });
  });

  test('a retiring version gives idle instances up at once, minimum or not', () => {
    const limits = { ...LIMITS, scaleMin: 2 };
    expect(decide(limits, seen({ ready: 2, idleMs: [0, 0], retiring: true }))).toMatchObject({ desired: 0 });
  });

  test('a share of the target is kept free', () => {
    const limits = limitsOf({ concurrency: 10, scale: { utilization: 0.5 } });
    expect(decide(limits, seen({ inFlight: 6, ready: 1 }))).toMatchObject({ kind: 'scale', desired: 2 });
  });

  test('what is wanted for other reasons than load is started, and started even if load goes meanwhile', () => {
    const floor = { count: 3, reason: 'schedule "0 8 * * *"' };
    expect(decide(LIMITS, seen(), { floor })).toMatchObject({ desired: 3, floor: 3, reason: floor.reason });
    expect(decide(LIMITS, seen({ waiting: 50 }), { floor })).toMatchObject({ desired: 5, floor: 3 });
  });

  describe('by mode', () => {
    test.each([
      [{ mode: 'rps', target: 50 }, seen({ ready: 1, inFlight: 1 }), { stable: 120 }, 3],
      [{ mode: 'rps', target: 50 }, seen({ ready: 1, inFlight: 1 }), { stable: 40, burst: 190 }, 4],
      [{ mode: 'cpu', target: 50 }, seen({ ready: 2, inFlight: 2 }), { stable: 1.2 }, 3],
      [{ mode: 'queue', target: 5 }, seen({ ready: 1, inFlight: 10, waiting: 12 }), {}, 3],
      [{ mode: 'queue', target: 5 }, seen({ waiting: 1 }), {}, 1],
    ])('%j', (scale, observation, means, desired) => {
      const limits = limitsOf({ concurrency: 10, scale });
      expect(decide(limits, observation, means)).toMatchObject({ kind: 'scale', desired });
    });

    test('queue: a line within the target starts nothing', () => {
      const limits = limitsOf({ concurrency: 1, scale: { mode: 'queue', target: 5 } });
      expect(decide(limits, seen({ ready: 1, inFlight: 1, waiting: 5 })).kind).toBe('hold');
    });
  });

  test('never above max, never below min, and never fewer than are busy or needed (S2)', () => {
    fc.assert(
      fc.property(anyLimits, anySeen, anyMean, anyMean, (limits, observation, stable, burst) => {
        const decision = decide(limits, observation, { stable, burst });
        if (decision.kind === 'hold') return;
        const have = observation.ready + observation.starting;
        const busy = observation.ready - observation.idleMs.length;
        if (decision.desired > have) expect(decision.desired).toBeLessThanOrEqual(limits.scaleMax);
        else {
          expect(decision.desired).toBeGreaterThanOrEqual(busy + observation.starting);
          const held = Math.ceil(observation.inFlight / limits.concurrency);
          expect(decision.desired).toBeGreaterThanOrEqual(Math.min(held, limits.scaleMax));
        }
        if (!observation.retiring) expect(decision.desired).toBeGreaterThanOrEqual(Math.min(limits.scaleMin, have));
      }),
    );
  });

  test('a minimum is reached in one decision, whatever the rate', () => {
    fc.assert(
      fc.property(anyLimits, (limits) => {
        const host = new Host(limits);
        host.tick(0, 0);
        expect(host.size).toBe(limits.scaleMin);
      }),
    );
  });

  test('a burst is answered within one tick, in every mode', () => {
    fc.assert(
      fc.property(anyLimits, fc.integer({ min: 1, max: 2_000 }), fc.nat(100), (limits, burst, quietTicks) => {
        const { scaling } = limits;
        fc.pre(scaling.upPerMinute === undefined);
        const host = new Host(limits);
        for (let tick = 0; tick < quietTicks; tick += 1) host.tick(0, 0);
        host.tick(scaling.mode === 'cpu' ? 0 : burst, burst);
        const bears = scaling.mode === 'concurrency' || scaling.mode === 'queue' ? scaling.target : limits.concurrency;
        const room = Math.floor(scaling.mode === 'queue' ? limits.scaleMin * limits.concurrency : 0);
        const enough = Math.ceil(Math.max(0, burst - room) / bears - 1e-6);
        expect(host.size).toBeGreaterThanOrEqual(Math.min(limits.scaleMax, enough));
      }),
    );
  });

  test('steady load does not oscillate: after it has settled nothing is ever started or given up', () => {
    fc.assert(
      fc.property(anyLimits, fc.double({ min: 0, max: 500, noNaN: true }), fc.nat(300), (limits, load, atOnce) => {
        fc.pre(limits.scaling.mode !== 'queue');
        const host = new Host(limits);
        const steady = limits.scaling.mode === 'concurrency' ? atOnce : load;
        const settleTicks = 150 + Math.ceil(30 / Math.min(limits.scaling.upPerMinute ?? 60, 30)) * 120;
        const sizes = Array.from({ length: settleTicks + 200 }, () => {
          host.tick(steady, atOnce);
          return host.size;
        });
        // It may still grow slowly under a rate; what it never does is to give up and start again.
        const falls = sizes.findIndex((size, index) => size < (sizes[index - 1] ?? 0));
        if (falls !== -1) expect(Math.max(...sizes.slice(falls))).toBe(sizes[falls]);
        if (limits.scaling.upPerMinute === undefined) expect(new Set(sizes.slice(settleTicks)).size).toBe(1);
      }),
      { numRuns: 30 },
    );
  });

  test('no minute sees more starts or ends than the rates allow, but for the first instance and the minimum', () => {
    const anyLoad = fc.array(fc.tuple(fc.nat(300), fc.integer({ min: 1, max: 20 })), { minLength: 5, maxLength: 30 });
    fc.assert(
      fc.property(anyLimits, anyLoad, (limits, loads) => {
        const host = new Host(limits);
        const changes: { at: number; up: number; down: number }[] = [];
        for (const [load, ticks] of loads) {
          for (let tick = 0; tick < ticks; tick += 1) {
            const before = host.size;
            host.tick(load, load);
            const isPromised = host.size <= Math.max(1, limits.scaleMin);
            const up = isPromised ? 0 : Math.max(0, host.size - Math.max(before, 1, limits.scaleMin));
            changes.push({ at: host.now, up, down: Math.max(0, before - host.size) });
          }
        }
        const { upPerMinute = 1e9, downPerMinute = 1e9 } = limits.scaling;
        for (const { at } of changes) {
          const minute = changes.filter((change) => change.at > at - 60_000 && change.at <= at);
          expect(minute.reduce((sum, { up }) => sum + up, 0)).toBeLessThanOrEqual(upPerMinute);
          expect(minute.reduce((sum, { down }) => sum + down, 0)).toBeLessThanOrEqual(downPerMinute);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('surplus instances go after the delay and not before, the last one only when it was idle for long enough', () => {
    const scale = { mode: 'rps', target: 10, idle: '10m', window: '2s', burstWindow: '1s', downDelay: '30s' };
    const host = new Host(limitsOf({ concurrency: 10, scale }));
    for (let tick = 0; tick < 10; tick += 1) host.tick(50, 5);
    expect(host.size).toBe(5);
    for (let tick = 0; tick < 59; tick += 1) host.tick(0, 0);
    expect(host.size).toBe(5);
    for (let tick = 0; tick < 10; tick += 1) host.tick(0, 0);
    expect(host.size).toBe(1);
    for (let tick = 0; tick < 1_200; tick += 1) host.tick(0, 0);
    expect(host.size).toBe(0);
  });

  test('a burst is kept for the stable window, also where the delay is short', () => {
    const scale = { idle: '10m', window: '20s', burstWindow: '2s', downDelay: '1s' };
    const host = new Host(limitsOf({ concurrency: 1, scale }));
    for (let tick = 0; tick < 20; tick += 1) host.tick(1, 1);
    host.tick(8, 8);
    for (let tick = 0; tick < 30; tick += 1) host.tick(1, 1);
    expect(host.size).toBe(8);
    for (let tick = 0; tick < 20; tick += 1) host.tick(1, 1);
    expect(host.size).toBe(1);
  });
});
