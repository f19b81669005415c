import { type ResolvedLimits } from '@ebb/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideScale, type ScaleObservation } from './decide-scale.ts';

const LIMITS: ResolvedLimits = {
  memoryBytes: 1,
  cpuCores: 1,
  pids: 1,
  tmpBytes: 1,
  concurrency: 10,
  timeoutMs: 1,
  queueLength: 1,
  queueWaitMs: 1,
  scaleMin: 0,
  scaleMax: 20,
  idleMs: 1_000,
  freezeAfterMs: 10_000,
  standby: 0,
};

const seen = (more: Partial<ScaleObservation> = {}): ScaleObservation => ({
  inFlight: 0,
  waiting: 0,
  ready: 0,
  starting: 0,
  idleMs: [],
  retiring: false,
  ...more,
});

const anyLimits = fc
  .record({
    concurrency: fc.integer({ min: 1, max: 50 }),
    a: fc.nat(30),
    b: fc.integer({ min: 1, max: 30 }),
    idleMs: fc.nat(5_000),
  })
  .map(({ concurrency, a, b, idleMs }) => ({ ...LIMITS, concurrency, idleMs, scaleMin: Math.min(a, b), scaleMax: b }));

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

describe('decideScale', () => {
  test('S1: no data means no decision', () => {
    expect(decideScale(LIMITS, undefined)).toEqual({ kind: 'hold', reason: 'no data' });
  });

  test.each([
    ['one call at zero starts one instance', seen({ waiting: 1 }), 1],
    ['eleven calls at a concurrency of ten need two', seen({ inFlight: 10, waiting: 1, ready: 1 }), 2],
    ['a burst is answered in one decision', seen({ waiting: 150 }), 15],
    ['and never beyond max', seen({ waiting: 10_000 }), 20],
  ])('%s', (_what, observation, desired) => {
    expect(decideScale(LIMITS, observation)).toMatchObject({ kind: 'scale', desired });
  });

  test('an idle instance goes after its idle time, not before', () => {
    expect(decideScale(LIMITS, seen({ ready: 1, idleMs: [999] }))).toMatchObject({ kind: 'hold' });
    expect(decideScale(LIMITS, seen({ ready: 1, idleMs: [1_000] }))).toMatchObject({ kind: 'scale', desired: 0 });
  });

  test('a retiring version gives idle instances up at once, minimum or not', () => {
    const limits = { ...LIMITS, scaleMin: 2 };
    expect(decideScale(limits, seen({ ready: 2, idleMs: [0, 0], retiring: true }))).toMatchObject({ desired: 0 });
  });

  test('never above max, never below min, and never fewer than are busy or needed (S2)', () => {
    fc.assert(
      fc.property(anyLimits, anySeen, (limits, observation) => {
        const decision = decideScale(limits, observation);
        if (decision.kind === 'hold') return;
        const have = observation.ready + observation.starting;
        const busy = observation.ready - observation.idleMs.length;
        if (decision.desired > have) expect(decision.desired).toBeLessThanOrEqual(limits.scaleMax);
        else {
          const needed = Math.ceil((observation.inFlight + observation.waiting) / limits.concurrency);
          expect(decision.desired).toBeGreaterThanOrEqual(busy + observation.starting);
          expect(decision.desired).toBeGreaterThanOrEqual(Math.min(needed, limits.scaleMax));
        }
        if (!observation.retiring) expect(decision.desired).toBeGreaterThanOrEqual(Math.min(limits.scaleMin, have));
      }),
    );
  });

  test('steady load does not oscillate: after one decision is applied the next is to hold', () => {
    fc.assert(
      fc.property(anyLimits, fc.nat(500), (limits, load) => {
        const first = decideScale(limits, seen({ waiting: load }));
        const ready = first.kind === 'scale' ? first.desired : 0;
        const settled = seen({ inFlight: Math.min(load, ready * limits.concurrency), waiting: 0, ready });
        expect(decideScale(limits, settled).kind).toBe('hold');
      }),
    );
  });
});
