import { functionSpecSchema, type ResolvedLimits, resolveLimits } from '@ebb/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideScale, INITIAL_SCALE_STATE } from '../../autoscaler/decide-scale.ts';
import { resolveScaleLabels, type ScaleLabelInput } from './resolve-scale-labels.ts';

const PREFIX = 'com.openfaas.scale.';

/** Labels with the prefix they all have. */
const scaleLabels = (labels: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(labels).map(([name, value]) => [PREFIX + name, value]));

const resolve = (labels: Readonly<Record<string, string>>, more: Partial<ScaleLabelInput> = {}) =>
  resolveScaleLabels({ labels: scaleLabels(labels), cpuCores: 1, ...more });

/** What a deployment with these labels comes to, as the autoscaler gets it. */
function limitsOf(labels: Readonly<Record<string, string>>, more: Partial<ScaleLabelInput> = {}): ResolvedLimits {
  const { scale, concurrency } = resolve(labels, more);
  return resolveLimits(functionSpecSchema.parse({ image: 'i', scale, concurrency, cpu: more.cpuCores ?? 1 }));
}

/** How many instances a steady load needs of one that has as many as may be, none of them at work now. */
function sizeAt(limits: ResolvedLimits, load: number): number {
  const ready = limits.scaleMax;
  const decision = decideScale(
    { ...limits, scaling: { ...limits.scaling, downDelayMs: 0 } },
    {
      seen: {
        inFlight: 0,
        waiting: 0,
        ready,
        starting: 0,
        idleMs: Array.from({ length: ready }, () => 1),
        retiring: false,
      },
      stable: load,
      burst: load,
      floor: { count: limits.scaleMin, reason: 'the minimum' },
      keepMs: Number.POSITIVE_INFINITY,
    },
    INITIAL_SCALE_STATE,
    0,
  );
  return decision.kind === 'scale' ? decision.desired : ready;
}

describe('labels about scaling', () => {
  test('without any, one instance to 20, another for every 5 calls a second', () => {
    const { scale, concurrency, notes } = resolve({});
    expect([scale, concurrency, notes]).toEqual([
      { min: 1, max: 20, mode: 'rps', target: 5, window: '10s', burstWindow: '10s', downDelay: '30s' },
      100,
      [],
    ]);
    expect([1, 5, 10, 1000].map((load) => sizeAt(limitsOf({}), load))).toEqual([1, 1, 2, 20]);
  });

  test('with min 1 and max 2 alone, 10 calls a second are for two instances and 5 for one', () => {
    const limits = limitsOf({ min: '1', max: '2' });
    expect([sizeAt(limits, 10), sizeAt(limits, 5), sizeAt(limits, 0)]).toEqual([2, 1, 1]);
  });

  test('min equal to max is a number of instances that stays', () => {
    expect(resolve({ min: '3', max: '3', type: 'rps', target: '1' }).scale).toEqual({ min: 3, max: 3 });
  });

  test('a factor of 0 turns scaling off where no kind of load or target is named', () => {
    const off = limitsOf({ factor: '0', min: '2' });
    expect([sizeAt(off, 0), sizeAt(off, 100_000), off.scaleMax]).toEqual([2, 2, 20]);
    expect(resolve({ factor: '0', type: 'rps' }).scale).toMatchObject({ max: 20, mode: 'rps' });
    expect(resolve({ factor: '20' }).scale).toEqual(resolve({}).scale);
  });

  test('a target alone is calls a second, a kind alone has a target of 50', () => {
    expect(resolve({ target: '10' }).scale).toMatchObject({ mode: 'rps', target: 10, utilization: 0.9 });
    expect(resolve({ type: 'rps' }).scale).toMatchObject({ mode: 'rps', target: 50, utilization: 0.9 });
    expect(limitsOf({ type: 'rps', target: '10', 'target-proportion': '0.5' }).scaling.target).toBe(5);
  });

  test('capacity counts calls at once, the most of 45 seconds, and no instance takes fewer than the target', () => {
    const { scale, concurrency } = resolve({ type: 'capacity', target: '500' });
    expect([scale, concurrency]).toEqual([
      { min: 1, max: 20, mode: 'concurrency', target: 500, utilization: 0.9, downDelay: '45s' },
      500,
    ]);
    expect(limitsOf({ type: 'capacity', target: '500' }).scaling.target).toBe(450);
  });

  test('cpu counts thousandths of a core, whatever the limit is', () => {
    const labels = { type: 'cpu', target: '500', 'target-proportion': '0.8' };
    for (const cpuCores of [0.5, 1, 4]) expect(limitsOf(labels, { cpuCores }).scaling.target).toBeCloseTo(0.4, 9);
    // More than its limit an instance cannot use.
    expect(limitsOf(labels, { cpuCores: 0.2 }).scaling.target).toBeCloseTo(0.2, 9);
  });

  test('queue counts calls that wait', () => {
    expect(limitsOf({ type: 'queue', target: '10' }).scaling).toMatchObject({ mode: 'queue', target: 9 });
  });

  test('max_inflight is how many calls an instance gets at once', () => {
    expect(resolve({}, { env: { max_inflight: '3' } }).concurrency).toBe(3);
    expect(resolve({}, { env: { max_inflight: '0' } }).concurrency).toBe(100);
    expect(resolve({}, { env: { max_inflight: 'x' } }).concurrency).toBe(100);
  });

  test('down.window keeps the size that was needed in that time, at most 5 minutes', () => {
    expect(resolve({ type: 'rps', 'down.window': '2m30s' }).scale.downDelay).toBe('150s');
    expect(resolve({ type: 'capacity', 'down.window': '1m' }).scale.downDelay).toBe('105s');
    expect(resolve({ type: 'rps' }).scale.downDelay).toBe('0s');
    const { scale, notes } = resolve({ type: 'rps', 'down.window': '1h' });
    expect([scale.downDelay, notes]).toEqual([
      '5m',
      ['label "com.openfaas.scale.down.window" is "1h" but must be from 0s to 5m: it counts as 5m'],
    ]);
  });

  test('only zero lets the last instance go, after zero-duration, and min holds as soon as there is a call', () => {
    expect(resolve({ min: '0' }).scale.min).toBe(1);
    expect(resolve({ zero: 'true' }).scale).toMatchObject({ min: 0, max: 20, idle: '15m', keepAlive: 'fixed' });
    expect(resolve({ zero: 'true', 'zero-duration': '2m', min: '3' }).scale).toMatchObject({
      min: 0,
      minActive: 3,
      idle: '2m',
    });
    expect(resolve({ zero: 'true', min: '2', max: '2' }).scale).toMatchObject({ min: 0, minActive: 2, max: 2 });
    expect(resolve({ 'zero-duration': '2m' }).scale).toEqual(resolve({}).scale);
  });

  test('no window is longer than the time after which an idle function goes', () => {
    expect(limitsOf({ zero: 'true', 'zero-duration': '5s', type: 'rps' }).scaling).toMatchObject({
      windowMs: 5_000,
      burstWindowMs: 5_000,
    });
  });

  test.each([
    [{ min: 'many' }, 'label "com.openfaas.scale.min" is "many", which is no whole number: it counts as absent'],
    [{ max: '5000' }, 'label "com.openfaas.scale.max" is "5000" but must be from 1 to 1000: it counts as 1000'],
    [{ min: '5', max: '2' }, 'label "com.openfaas.scale.min" is larger than "com.openfaas.scale.max": both count as 2'],
    [{ target: '-1' }, 'label "com.openfaas.scale.target" is "-1", which is no number above 0: it counts as absent'],
    [
      { type: 'mine' },
      'label "com.openfaas.scale.type" is "mine", which is none of rps, capacity, cpu, queue: the function scales by calls a second',
    ],
    [
      { zero: 'maybe' },
      'label "com.openfaas.scale.zero" is "maybe", which is no "true" or "false": it counts as absent',
    ],
    [
      { zero: 'true', 'zero-duration': 'soon' },
      'label "com.openfaas.scale.zero-duration" is "soon", which is no duration such as "5m": it counts as absent',
    ],
  ])('%j is taken as far as it can be, and it is said how', (labels, note) => {
    expect(resolve(labels).notes).toEqual([note]);
    expect(() => limitsOf(labels)).not.toThrow();
  });
});

/** A value as somebody may have written it, well or not. */
const value = fc.oneof(
  fc.nat({ max: 3000 }).map(String),
  fc.double({ min: 0, max: 2, noNaN: true }).map(String),
  fc.constantFrom(
    'true',
    'false',
    '1',
    '15m',
    '5s',
    '1h30m',
    '400h',
    '10us',
    'rps',
    'capacity',
    'cpu',
    'queue',
    '',
    ' ',
  ),
  fc.string({ maxLength: 8 }),
);
const anyLabels = fc.dictionary(
  fc.constantFrom(
    'min',
    'max',
    'factor',
    'type',
    'target',
    'target-proportion',
    'zero',
    'zero-duration',
    'down.window',
    'unheard-of',
  ),
  value,
);

describe('whatever labels say', () => {
  test('it is a spec, with at least one instance unless zero is wanted', () => {
    fc.assert(
      fc.property(anyLabels, fc.double({ min: 0.01, max: 64, noNaN: true }), value, (labels, cores, inFlight) => {
        const cpuCores = Number(cores.toFixed(3));
        const limits = limitsOf(labels, { cpuCores, env: { max_inflight: inFlight } });
        const wantsZero = /^(?:1|t|T|true|True|TRUE)$/.test(labels['zero'] ?? '');
        expect(limits.scaleMin === 0).toBe(wantsZero);
        const least = limits.scaling.minActive ?? limits.scaleMin;
        expect(least).toBeLessThanOrEqual(limits.scaleMax);
        expect(limits.scaling.windowMs).toBeLessThanOrEqual(Math.max(limits.idleMs, 60_000));
      }),
    );
  });

  test('more load never means fewer instances, and never fewer than min or more than max', () => {
    fc.assert(
      fc.property(anyLabels, fc.nat({ max: 10_000 }), fc.nat({ max: 10_000 }), (labels, one, other) => {
        const limits = limitsOf(labels);
        const [few = 0, many = 0] = [one, other].sort((a, b) => a - b).map((load) => sizeAt(limits, load));
        expect(few).toBeLessThanOrEqual(many);
        expect(few).toBeGreaterThanOrEqual(limits.scaleMin);
        expect(many).toBeLessThanOrEqual(limits.scaleMax);
      }),
    );
  });

  test('calls a second are divided by target times proportion, rounded up, between min and max', () => {
    const proportion = fc.integer({ min: 5, max: 100 }).map((percent) => percent / 100);
    const bounds = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }));
    fc.assert(
      fc.property(
        bounds,
        fc.integer({ min: 1, max: 500 }),
        proportion,
        fc.nat({ max: 5000 }),
        (sizes, target, share, load) => {
          const [min, max] = sizes.sort((a, b) => a - b);
          fc.pre(min < max);
          const limits = limitsOf({
            min: `${min}`,
            max: `${max}`,
            type: 'rps',
            target: `${target}`,
            'target-proportion': `${share}`,
          });
          const wanted = Math.ceil(load / (target * share) - 1e-6);
          expect(sizeAt(limits, load)).toBe(Math.min(Math.max(wanted, min), max));
        },
      ),
    );
  });
});
