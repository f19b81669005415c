import { resolveRollout, rolloutSchema, type RolloutSpecInput } from '@ebb/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bucketOf, DURATION_BUCKETS } from '../telemetry/fold-durations.ts';
import { decideRollout, type RolloutDecision, type RolloutProgress, weightAt } from './decide-rollout.ts';
import { decideStep } from './decide-worse.ts';
import {
  addCounts,
  beginObservations,
  foldObservations,
  NOTHING_SEEN,
  type Observations,
  type SideCounts,
} from './fold-observations.ts';

const RUNS = 100;
const LOOK_MS = 500;
/** The default steps, walked faster. */
const CANARY: RolloutSpecInput = {
  strategy: 'canary',
  steps: [5, 25, 50].map((weight) => ({ weight, pause: '10s' })),
  bake: '20s',
};
const LINEAR: RolloutSpecInput = { strategy: 'linear', interval: '4s', bake: '10s' };
const BLUE_GREEN: RolloutSpecInput = { strategy: 'blue-green', bake: '30s' };

/** Random numbers that are the same in every run. */
function createRandom(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How a version of the simulation answers. */
interface Behaviour {
  /** Share of its calls that fail, after so many calls of the new version and so many milliseconds. */
  readonly fails: (calls: number, now: number) => number;
  /** Duration of a call, from two random numbers. */
  readonly ms: (random: () => number) => number;
  /** How often its process stands still, so that all calls of half a second take long. */
  readonly pauses?: number;
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Durations spread like those of real functions: many short ones, a long tail. */
function lognormal(medianMs: number, sigma: number) {
  return (random: () => number) => medianMs * Math.exp(sigma * normal(random));
}

const steady = (rate: number) => () => rate;

interface Run {
  readonly decision: RolloutDecision;
  readonly badOfNew: number;
  readonly callsOfNew: number;
  readonly atMs: number;
}

/** Plays a rollout until it is over: calls by weight at a steady rate, a look twice a second, warm at once. */
function play(
  spec: RolloutSpecInput,
  old: Behaviour,
  young: Behaviour,
  seed: number,
  { perSecond = 200, untilMs = 3_600_000 } = {},
): Run {
  const plan = resolveRollout(rolloutSchema.parse(spec));
  const random = createRandom(seed);
  let seen = beginObservations(NOTHING_SEEN, 1);
  let progress: RolloutProgress = { step: 0, phase: 'warming', sinceMs: 0, isPaused: false };
  let badOfNew = 0;
  let callsOfNew = 0;
  let turn = 0;
  for (let now = LOOK_MS; ; now += LOOK_MS) {
    const weight = weightAt(plan, progress);
    const batch = { old: createBatch(), new: createBatch() };
    const pause = { old: pauseOf(old, random), new: pauseOf(young, random) };
    for (let call = 0; call < (perSecond * LOOK_MS) / 1000; call += 1) {
      turn += weight / 100;
      const isNew = turn >= 1;
      if (isNew) turn -= 1;
      const side = isNew ? batch.new : batch.old;
      const behaviour = isNew ? young : old;
      const isBad = random() < behaviour.fails(callsOfNew, now);
      side.add(isBad, behaviour.ms(random) + (isNew ? pause.new : pause.old));
      if (!isNew) continue;
      callsOfNew += 1;
      if (isBad) badOfNew += 1;
    }
    seen = foldObservations(seen, { old: batch.old.counts(), new: batch.new.counts() }, LOOK_MS);
    const decision = decideRollout(plan, progress, { from: 1, to: 2, seen, ready: 1, wanted: 1 }, now);
    if (decision.kind === 'roll-back' || decision.kind === 'finish' || now >= untilMs) {
      return { decision, badOfNew, callsOfNew, atMs: now };
    }
    if (decision.kind === 'advance') {
      const isWarm = progress.phase === 'warming';
      progress = {
        ...progress,
        step: progress.step + (isWarm ? 0 : 1),
        phase: isWarm ? 'watching' : 'warming',
        sinceMs: now,
      };
      if (!isWarm) continue;
      seen = decideStep(plan, seen);
    }
  }
}

function pauseOf({ pauses = 0 }: Behaviour, random: () => number): number {
  return pauses > 0 && random() < pauses ? 300 * random() : 0;
}

function createBatch() {
  const durations = Array.from({ length: DURATION_BUCKETS }, () => 0);
  let [calls, failed] = [0, 0];
  return {
    add(isBad: boolean, ms: number) {
      calls += 1;
      if (isBad) failed += 1;
      const bucket = bucketOf(ms);
      durations[bucket] = (durations[bucket] ?? 0) + 1;
    },
    counts: (): SideCounts => ({ ...NOTHING_SEEN, calls, failed, durations }),
  };
}

const seeds = Array.from({ length: RUNS }, (_, index) => index + 1);
const tally = (runs: readonly Run[]) => [...new Set(runs.map(({ decision }) => decision.kind))];

describe('an equally good version', () => {
  test.each([
    ['never fails, 20 ms', 0, lognormal(20, 0.4)],
    ['fails 0.1 %, long tail', 0.001, lognormal(5, 1.2)],
    ['fails 1 %', 0.01, lognormal(100, 0.5)],
    ['fails 5 %', 0.05, lognormal(2, 0.8)],
    ['fails 30 %, seldom very slow', 0.3, (random: () => number) => (random() < 0.05 ? 2000 : 10)],
  ])('is never rolled back in 100 runs: %s', (_what, rate, ms) => {
    const same = { fails: steady(rate), ms };
    expect(tally(seeds.map((seed) => play(CANARY, same, same, seed, { perSecond: 100 })))).toEqual(['finish']);
  });

  test('is never rolled back in 100 runs: both begin to fail in the middle', () => {
    const same = { fails: (_calls: number, now: number) => (now < 15_000 ? 0 : 0.04), ms: lognormal(20, 0.4) };
    expect(tally(seeds.map((seed) => play(CANARY, same, same, seed, { perSecond: 100 })))).toEqual(['finish']);
  });

  test.each([CANARY, BLUE_GREEN])(
    'is never rolled back in 100 runs: processes stand still at times, $strategy',
    (spec) => {
      const same = { fails: steady(0), ms: lognormal(2, 0.4), pauses: 0.04 };
      expect(tally(seeds.map((seed) => play(spec, same, same, seed, { perSecond: 100 })))).toEqual(['finish']);
    },
  );

  test.each([LINEAR, BLUE_GREEN])('is never rolled back in 100 runs: $strategy', (spec) => {
    const same = { fails: steady(0.01), ms: lognormal(10, 0.7) };
    expect(tally(seeds.map((seed) => play(spec, same, same, seed, { perSecond: 100 })))).toEqual(['finish']);
  });
});

test('an equally good version is never rolled back by blue-green in 100 runs with few calls', () => {
  const same = { fails: steady(0.05), ms: lognormal(20, 0.4) };
  const kinds = seeds.map((seed) => play({ strategy: 'blue-green' }, same, same, seed, { perSecond: 2 }));
  expect(tally(kinds)).toEqual(['finish']);
});

describe('a worse version', () => {
  const good = { fails: steady(0), ms: lognormal(20, 0.4) };

  test.each([
    ['from its first call, at a version that never failed', 0, 0, 0.05],
    ['from its first call, at one that fails 0.5 %', 0, 0.005, 0.05],
    ['after 3,000 good calls', 3000, 0, 0.05],
    ['every call', 0, 0.01, 1],
  ])('is rolled back within its first 100 bad answers in 100 runs: it fails 5 % %s', (_what, after, base, rate) => {
    const old = { ...good, fails: steady(base) };
    const young = { ...good, fails: (calls: number) => (calls < after ? base : rate) };
    const bad = seeds.map((seed) => {
      const run = play({ strategy: 'canary' }, old, young, seed);
      expect(run.decision).toMatchObject({ kind: 'roll-back', reason: 'MORE_ERRORS' });
      return run.badOfNew;
    });
    expect(Math.max(...bad)).toBeLessThanOrEqual(100);
  });

  test.each([LINEAR, BLUE_GREEN])('is rolled back within 100 bad answers by $strategy too', (spec) => {
    for (const seed of seeds) {
      const run = play(spec, good, { ...good, fails: steady(0.05) }, seed);
      expect(run.decision).toMatchObject({ kind: 'roll-back', reason: 'MORE_ERRORS' });
      expect(run.badOfNew).toBeLessThanOrEqual(100);
    }
  });

  test('is rolled back by blue-green also where calls are few, when all of them fail', () => {
    for (const seed of seeds) {
      const run = play({ strategy: 'blue-green' }, good, { ...good, fails: steady(1) }, seed, { perSecond: 2 });
      expect(run.decision).toMatchObject({ kind: 'roll-back', reason: 'MORE_ERRORS' });
      expect(run.badOfNew).toBeLessThanOrEqual(50);
    }
  });

  test.each([
    ['all calls 3 times slower', (random: () => number) => 3 * lognormal(20, 0.4)(random)],
    [
      'one in ten 3 times slower than the 95th percentile',
      (random: () => number) => (random() < 0.1 ? 3 * 20 * Math.exp(0.4 * 1.645) : lognormal(20, 0.4)(random)),
    ],
  ])('is rolled back in 100 runs when its 95th percentile is 3 times as long: %s', (_what, ms) => {
    for (const seed of seeds) {
      const run = play({ strategy: 'canary' }, good, { ...good, ms }, seed);
      expect(run.decision).toMatchObject({ kind: 'roll-back', reason: 'SLOWER' });
      expect(run.atMs).toBeLessThan(150_000);
    }
  });
});

describe('decideRollout', () => {
  const plan = resolveRollout(rolloutSchema.parse({ strategy: 'canary' }));
  const watching: RolloutProgress = { step: 0, phase: 'watching', sinceMs: 0, isPaused: false };
  const side = (calls: number, failed = 0): SideCounts => ({ ...NOTHING_SEEN, calls, failed });
  const seenOf = (old: SideCounts, young: SideCounts): Observations =>
    foldObservations(beginObservations(NOTHING_SEEN, 1), { old, new: young }, 500);
  const decide = (old: SideCounts, young: SideCounts, progress: Partial<RolloutProgress> = {}, now = 0) =>
    decideRollout(
      plan,
      { ...watching, ...progress },
      { from: 1, to: 2, seen: seenOf(old, young), ready: 1, wanted: 1 },
      now,
    );

  test('S1: without enough calls of the new version nothing is decided, however bad they are', () => {
    expect(decide(side(1000), side(49, 49), {}, 120_000)).toMatchObject({
      kind: 'hold',
      reason: 'NOT_ENOUGH_DATA',
      message: 'version 2 had 49 of the 50 calls this step needs',
    });
  });

  test('S1: without enough calls of the old version there is nothing to compare with', () => {
    expect(decide(side(10), side(500, 500), {}, 120_000)).toMatchObject({
      kind: 'hold',
      reason: 'NOT_ENOUGH_DATA',
      message: 'version 1 had 10 of the 50 calls a comparison needs',
    });
  });

  test('S1: no number of windows without calls is ever a decision', () => {
    fc.assert(
      fc.property(fc.nat(49), fc.nat(100_000), fc.nat(3_000_000), (calls, failed, now) => {
        const decision = decide(side(100_000, failed), side(calls, calls), {}, now);
        expect(decision.kind).toBe('hold');
      }),
    );
  });

  test('waiting for calls ends after maxWait as the plan says: it stays, or goes on', () => {
    const late = 60_000 + 3_600_000;
    expect(decide(side(1000), side(3), {}, late)).toMatchObject({ kind: 'hold', reason: 'WAITED_TOO_LONG' });
    const bold = resolveRollout(rolloutSchema.parse({ strategy: 'canary', afterWait: 'advance' }));
    const observation = { from: 1, to: 2, seen: seenOf(side(1000), side(3)), ready: 1, wanted: 1 };
    expect(decideRollout(bold, watching, observation, late)).toMatchObject({ kind: 'advance' });
  });

  test('a good version goes on when its pause is over, not before', () => {
    expect(decide(side(1000), side(60), {}, 59_000)).toMatchObject({ kind: 'hold', reason: 'PAUSE_RUNS' });
    expect(decide(side(1000), side(60), {}, 60_000)).toMatchObject({ kind: 'advance', reason: 'GOOD' });
    expect(decide(side(1000), side(60), { step: 3 }, 60_000)).toMatchObject({ kind: 'finish', reason: 'GOOD' });
  });

  test('one that looks worse is watched further before it gets more calls', () => {
    expect(decide(side(1000), side(60, 6), {}, 600_000)).toMatchObject({ kind: 'hold', reason: 'LOOKS_WORSE' });
  });

  describe('a version that gets all calls in its first step', () => {
    const planOf = (spec: RolloutSpecInput) => resolveRollout(rolloutSchema.parse(spec));
    const at = (spec: RolloutSpecInput, old: SideCounts, young: SideCounts, progress: RolloutProgress, now: number) =>
      decideRollout(planOf(spec), progress, { from: 1, to: 2, seen: seenOf(old, young), ready: 1, wanted: 1 }, now);
    const warming: RolloutProgress = { ...watching, phase: 'warming' };
    const all: readonly RolloutSpecInput[] = [
      { strategy: 'blue-green' },
      { strategy: 'linear', step: 100 },
      { strategy: 'canary', steps: [{ weight: 100, pause: '1m' }] },
    ];

    test.each(all)('S1: gets none before there are enough calls of the old one, $strategy', (spec) => {
      expect(at(spec, side(40), side(0), warming, 29_000)).toMatchObject({ kind: 'hold', reason: 'WARMING' });
      expect(at(spec, side(40), side(0), warming, 31_000)).toMatchObject({
        kind: 'hold',
        reason: 'NOT_ENOUGH_DATA',
        message: 'version 1 had 40 of the 50 calls a comparison needs',
      });
      expect(at(spec, side(50), side(0), warming, 31_000)).toMatchObject({ kind: 'advance', reason: 'WARM' });
      const late = 3_600_000;
      expect(at(spec, side(40), side(0), warming, late)).toMatchObject({ kind: 'hold', reason: 'WAITED_TOO_LONG' });
      const bold: RolloutSpecInput = { ...spec, afterWait: 'advance' };
      expect(at(bold, side(40), side(0), warming, late)).toMatchObject({ kind: 'advance', reason: 'WARM' });
      const blind: RolloutSpecInput = { ...spec, watch: [] };
      expect(at(blind, side(0), side(0), warming, 1000)).toMatchObject({ kind: 'advance', reason: 'WARM' });
    });

    test.each(all)('is taken back for what the few calls of the old one prove, $strategy', (spec) => {
      expect(at(spec, side(40), side(10_000, 10_000), watching, 5000)).toMatchObject({
        kind: 'roll-back',
        reason: 'MORE_ERRORS',
        old: { calls: 40 },
        new: { calls: 10_000, failed: 10_000 },
      });
      expect(at(spec, side(1), side(49, 49), watching, 5000)).toMatchObject({ kind: 'hold' });
      expect(at(spec, side(0), side(10_000, 10_000), watching, 5000)).toMatchObject({ kind: 'hold' });
      expect(at(spec, side(1), side(10_000, 200), watching, 5000)).toMatchObject({ kind: 'hold' });
      expect(at(spec, side(40, 40), side(10_000, 10_000), watching, 5000)).toMatchObject({ kind: 'hold' });
    });

    test('S1: is never taken back in 100 runs for what chance makes of few calls of the old one', () => {
      for (const seed of seeds) {
        const random = createRandom(seed);
        const rate = (seed % 10) / 10;
        const draw = (calls: number) =>
          side(calls, Array.from({ length: calls }, () => random()).filter((one) => one < rate).length);
        let seen = foldObservations(beginObservations(NOTHING_SEEN, 1), { old: draw(seed % 50), new: side(0) }, 500);
        for (let look = 1; look <= 60; look += 1) {
          seen = foldObservations(seen, { old: side(0), new: draw(100) }, 500);
          const observation = { from: 1, to: 2, seen, ready: 1, wanted: 1 };
          const plan = planOf({ strategy: 'blue-green' });
          expect(decideRollout(plan, watching, observation, look * 500).kind).toBe('hold');
        }
      }
    });
  });

  test('paused, it stays where it is; but a bad version is taken back all the same', () => {
    expect(decide(side(1000), side(60), { isPaused: true }, 600_000)).toMatchObject({
      kind: 'hold',
      reason: 'BY_HAND',
    });
    expect(decide(side(1000), side(60, 30), { isPaused: true })).toMatchObject({ kind: 'roll-back' });
  });

  test('no weight rises before the instances are there that will bear it', () => {
    const observe = (ready: number, now: number) =>
      decideRollout(
        plan,
        { ...watching, phase: 'warming' },
        { from: 1, to: 2, seen: seenOf(side(0), side(0)), ready, wanted: 4 },
        now,
      );
    expect(observe(3, 1000)).toMatchObject({
      kind: 'hold',
      reason: 'WARMING',
      message: '3 of 4 instances of version 2 are ready',
    });
    expect(observe(4, 1000)).toMatchObject({ kind: 'advance', reason: 'WARM' });
    expect(observe(0, 600_000)).toMatchObject({ kind: 'hold', reason: 'WARMING' });
    expect(observe(1, 120_000)).toMatchObject({ kind: 'advance', reason: 'WARM' });
  });

  test('starts that fail take a version back, unless those of the old one fail as well', () => {
    const starts = (count: number, failed: number): SideCounts => ({
      ...side(100),
      starts: count,
      failedStarts: failed,
    });
    expect(decide(starts(5, 0), starts(8, 7))).toMatchObject({ kind: 'roll-back', reason: 'COLD_STARTS_FAIL' });
    expect(decide(starts(10, 8), starts(8, 6)).kind).toBe('hold');
    expect(decide(starts(5, 0), starts(20, 2)).kind).toBe('hold');
  });

  test('a fault both versions share is no fault of the new one', () => {
    expect(decide(side(2000, 1000), side(2000, 1000), {}, 60_000)).toMatchObject({ kind: 'advance' });
  });

  test('what is not watched is not held against a version', () => {
    const blind = resolveRollout(rolloutSchema.parse({ strategy: 'canary', watch: [] }));
    const observation = { from: 1, to: 2, seen: seenOf(side(0), side(5, 5)), ready: 1, wanted: 1 };
    expect(decideRollout(blind, watching, observation, 60_000)).toMatchObject({ kind: 'advance' });
  });

  test('counts are the same however they are divided into windows', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(300), fc.nat(300)), { maxLength: 120 }), (batches) => {
        let seen = beginObservations(NOTHING_SEEN, 1);
        let sum = NOTHING_SEEN;
        for (const [old, young] of batches) {
          seen = foldObservations(seen, { old: side(old), new: side(young) }, 500);
          sum = addCounts(sum, side(young));
        }
        expect(seen.windows.reduce((calls, window) => calls + window.new.calls, 0)).toBe(sum.calls);
        expect(seen.windows.length).toBeLessThanOrEqual(24);
        const ordinals = seen.windows.map(({ ordinal }) => ordinal);
        expect(new Set(ordinals).size).toBe(ordinals.length);
      }),
    );
  });
});
