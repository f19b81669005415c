import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { auto } from './auto.ts';
import { chooseVictims } from './choose-victims.ts';
import { fixed } from './fixed.ts';
import { foldGone, foldUsage, NO_USAGE, type Usage } from './fold-usage.ts';
import { addGap, gapAt, NO_GAPS } from './gap-counts.ts';
import { greedyDual } from './greedy-dual.ts';
import { histogram } from './histogram.ts';
import { KEEP_ALIVE_POLICIES } from './policies.ts';

const MINUTE = 60_000;
const FACTS = { idleMs: 5 * MINUTE, startMs: 250, memoryBytes: 128 * 2 ** 20 };

/** How a function has been used whose calls come after these gaps and take no time. */
function usageAfter(gaps: readonly number[]): Usage {
  let now = 0;
  let usage = foldUsage(NO_USAGE, { arrived: 1, isActive: false }, now);
  for (const gap of gaps) {
    now += gap;
    usage = foldUsage(usage, { arrived: 1, isActive: false }, now);
  }
  return usage;
}

const times = (count: number, gap: number) => Array.from({ length: count }, () => gap);

describe('the history of gaps', () => {
  test('knows every gap up to a day to a tenth', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 86_400_000 }), (gap) => {
        const { fromMs, toMs } = gapAt(addGap(NO_GAPS, gap), 0.5);
        expect(fromMs).toBeLessThanOrEqual(gap);
        expect(toMs).toBeGreaterThanOrEqual(gap * 0.999_999);
        if (gap > 1_000) expect(toMs / fromMs).toBeLessThan(1.1);
      }),
    );
  });

  test('says what share of the gaps is not longer', () => {
    const counts = [...times(90, 10_000), ...times(10, 1_000_000)].reduce(addGap, NO_GAPS);
    expect(gapAt(counts, 0.9).toMs).toBeLessThan(11_000);
    expect(gapAt(counts, 0.95).fromMs).toBeGreaterThan(900_000);
  });

  test('forgets what is long ago', () => {
    const counts = [...times(256, 10_000), ...times(1_024, 1_000_000)].reduce(addGap, NO_GAPS);
    expect(gapAt(counts, 0.05).fromMs).toBeGreaterThan(900_000);
    expect(counts.total).toBeLessThanOrEqual(257);
  });

  test('begins a gap with the end of a call and not with its start', () => {
    let usage = foldUsage(NO_USAGE, { arrived: 1, isActive: true }, 0);
    usage = foldUsage(usage, { arrived: 0, isActive: true }, 50_000);
    usage = foldUsage(usage, { arrived: 0, isActive: false }, 50_500);
    usage = foldUsage(usage, { arrived: 1, isActive: false }, 60_000);
    expect(gapAt(usage.gaps, 1).toMs).toBeLessThan(11_000);
  });
});

describe('fixed', () => {
  test('keeps for as long as the spec says, whatever happened', () => {
    expect(fixed.plan(usageAfter(times(100, 1_000)), FACTS)).toEqual({ keepMs: FACTS.idleMs });
  });
});

describe('histogram', () => {
  test('does as fixed while it knows little, and where nothing can be told', () => {
    const erratic = Array.from({ length: 100 }, (_, index) => 1_000 * 1.1 ** index);
    for (const gaps of [[], times(7, 30 * MINUTE), erratic, times(50, 30 * 3_600_000)]) {
      expect(histogram.plan(usageAfter(gaps), FACTS)).toEqual({ keepMs: FACTS.idleMs });
    }
  });

  test('lets go and comes back in time for calls that come later than an instance would be kept', () => {
    const plan = histogram.plan(usageAfter(times(20, 30 * MINUTE)), FACTS);
    expect(plan.keepMs).toBeLessThan(MINUTE);
    expect(plan.prewarm?.fromMs).toBeGreaterThan(24 * MINUTE);
    expect(plan.prewarm?.fromMs).toBeLessThan(30 * MINUTE - FACTS.startMs);
    expect(plan.prewarm?.untilMs).toBeGreaterThan(30 * MINUTE);
  });

  test('keeps somewhat longer than the spec says where that catches nearly all calls', () => {
    const { keepMs, prewarm } = histogram.plan(usageAfter([...times(50, MINUTE), ...times(5, 8 * MINUTE)]), FACTS);
    expect(prewarm).toBeUndefined();
    expect(keepMs).toBeGreaterThan(8 * MINUTE);
  });

  test('never lets go earlier than the spec says unless it comes back', () => {
    expect(histogram.plan(usageAfter(times(100, 10_000)), FACTS)).toEqual({ keepMs: FACTS.idleMs });
  });

  test('never holds an instance idle for more than four times what the spec says', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 90_000_000 }), { maxLength: 300 }), (gaps) => {
        const { keepMs, prewarm } = histogram.plan(usageAfter(gaps), FACTS);
        expect(keepMs).toBeLessThanOrEqual(4 * FACTS.idleMs);
        if (!prewarm) return;
        expect(prewarm.untilMs - prewarm.fromMs).toBeLessThanOrEqual(4 * FACTS.idleMs);
        expect(prewarm.fromMs).toBeGreaterThan(keepMs);
      }),
    );
  });
});

describe('greedy-dual', () => {
  const instance = (calls: number, startMs: number, memoryMib: number, age = 0) => ({
    usage: { ...NO_USAGE, calls },
    facts: { startMs, memoryBytes: memoryMib * 2 ** 20 },
    idleMs: 0,
    age,
  });

  test('keeps for ever under a budget, and as fixed without', () => {
    expect(greedyDual.plan(NO_USAGE, { ...FACTS, memoryBudgetBytes: 1 }).keepMs).toBe(Number.POSITIVE_INFINITY);
    expect(greedyDual.plan(NO_USAGE, FACTS).keepMs).toBe(FACTS.idleMs);
  });

  test.each([
    ['seldom called', instance(1, 100, 100), instance(4, 100, 100)],
    ['quick to start', instance(5, 20, 100), instance(5, 900, 100)],
    ['large', instance(5, 100, 1_000), instance(5, 100, 50)],
    ['not used for long', instance(5, 100, 100, 0), instance(5, 100, 100, 50)],
  ])('gives up first what is %s', (_what, less, more) => {
    const { victims } = chooseVictims([more, less], { instances: 1, bytes: 0 }, greedyDual);
    expect(victims).toEqual([less]);
  });

  test('what is not called any more goes in the end, however often it was called', () => {
    const old = instance(50, 100, 100);
    let age = 0;
    let rounds = 0;
    for (; rounds < 1_000; rounds += 1) {
      const fresh = instance(1, 100, 100, age);
      const chosen = chooseVictims([old, fresh], { instances: 1, bytes: 0 }, greedyDual);
      age = Math.max(age, chosen.age);
      if (chosen.victims[0] === old) break;
    }
    expect(rounds).toBeLessThan(60);
  });

  test('a function that lost its last instance starts from nothing', () => {
    expect(foldGone(usageAfter(times(5, 1_000))).calls).toBe(0);
  });
});

describe('making room', () => {
  test('takes as few as are enough, and the least valuable, under every policy', () => {
    const anyIdle = fc.record({
      usage: fc.nat(100).map((calls) => ({ ...NO_USAGE, calls })),
      age: fc.nat(100),
      facts: fc.record({ startMs: fc.nat(1_000), memoryBytes: fc.integer({ min: 1, max: 1_000 }) }),
      idleMs: fc.nat(1_000),
    });
    fc.assert(
      fc.property(
        fc.array(anyIdle, { maxLength: 20 }),
        fc.nat(10),
        fc.nat(5_000),
        fc.constantFrom(...Object.values(KEEP_ALIVE_POLICIES)),
        (idle, instances, bytes, policy) => {
          const { victims } = chooseVictims(idle, { instances, bytes }, policy);
          const freed = victims.reduce((sum, { facts }) => sum + facts.memoryBytes, 0);
          const isEnough = victims.length >= instances && freed >= bytes;
          expect(isEnough || victims.length === idle.length).toBe(true);
          const last = victims.at(-1);
          if (last) expect(victims.length - 1 >= instances && freed - last.facts.memoryBytes >= bytes).toBe(false);
          const kept = idle.filter((one) => !victims.includes(one));
          const least = Math.min(...kept.map((one) => policy.value(one)));
          for (const victim of victims) expect(policy.value(victim)).toBeLessThanOrEqual(least);
        },
      ),
    );
  });
});

describe('auto', () => {
  test('keeps as the histogram says and gives up as greedy-dual does', () => {
    const usage = usageAfter(times(20, 30 * MINUTE));
    expect(auto.plan(usage, FACTS)).toEqual(histogram.plan(usage, FACTS));
    const idle = { usage, facts: FACTS, idleMs: 5, age: 0 };
    expect(auto.value(idle)).toBe(greedyDual.value(idle));
  });
});
