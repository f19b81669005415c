import type { RolloutPlan, RolloutRule } from '@ebb/contract';
import { bucketOf, upperMs } from '../telemetry/fold-durations.ts';
import { evidenceAbove, evidenceBelow, evidenceOfRise } from './decide-evidence.ts';
import { addCounts, NOTHING_SEEN, type Observations, type SideCounts } from './fold-observations.ts';

/** What a new version was found to be, and the numbers that was found from. */
export interface Finding {
  readonly rule: RolloutRule;
  readonly old: SideCounts;
  readonly new: SideCounts;
  /** For latency: what 95 % of the new version's calls should take at most, and the share that took longer. */
  readonly limit?: { readonly ms: number; readonly share: number };
}

/** Whether the new version is worse: certainly, perhaps, or not that one could see. */
export type Worse =
  | { readonly kind: 'certain'; readonly finding: Finding }
  | { readonly kind: 'perhaps'; readonly finding: Finding }
  | { readonly kind: 'no' };

/** The share of calls that may be slower than the 95th percentile: what the percentile means. */
const SLOW_SHARE = 0.05;
/** A version is looked at with suspicion when it is worse with a certainty of 95 %. */
const SUSPICION = 0.05;

/**
 * Whether the new version is worse than the old one by any of the plan's rules. Every stretch of the rollout that ends
 * now is looked at, so that a version is caught that begins to fail late. Of the plan's `alpha` each rule may spend an
 * equal part, and of that the stretch from the k-th window on 6/(pi k)^2, which add up to 1; within a stretch the
 * evidence may be looked at any number of times. So in a whole rollout a version that is not worse is taken for worse
 * with probability `alpha` at most.
 */
export function decideWorse(plan: RolloutPlan, { windows }: Observations): Worse {
  let perhaps: Finding | undefined;
  for (const { ordinal, old, new: young } of stretchesOf(windows)) {
    const part = 6 / (Math.PI * ordinal) ** 2 / Math.max(1, plan.watch.length);
    const certain = -Math.log(plan.alpha * part);
    const suspicious = -Math.log(Math.max(SUSPICION, plan.alpha) * part);
    for (const rule of plan.watch) {
      const { evidence, limit } = test(rule, plan, old, young, certain);
      if (evidence < suspicious) continue;
      const finding = { rule, old, new: young, ...(limit && { limit }) };
      if (evidence >= certain) return { kind: 'certain', finding };
      perhaps ??= finding;
    }
  }
  return perhaps ? { kind: 'perhaps', finding: perhaps } : { kind: 'no' };
}

interface Stretch {
  readonly ordinal: number;
  readonly old: SideCounts;
  readonly new: SideCounts;
}

/**
 * From each window to now, the shortest last. The old version is seen over the same time; where it had fewer calls than
 * the new one in it, as it must with most of the weight gone, over longer.
 */
function stretchesOf(windows: Observations['windows']): readonly Stretch[] {
  const sums: Stretch[] = [];
  let [old, young] = [NOTHING_SEEN, NOTHING_SEEN];
  for (const window of windows.toReversed()) {
    old = addCounts(old, window.old);
    young = addCounts(young, window.new);
    sums.unshift({ ordinal: window.ordinal, old, new: young });
  }
  return sums.map((sum, index) => {
    let from = index;
    while (from > 0 && (sums[from]?.old.calls ?? 0) < sum.new.calls) from -= 1;
    return { ...sum, old: sums[from]?.old ?? sum.old };
  });
}

/** What speaks for a rule being broken, as the logarithm of an e-value. */
interface Evidence {
  readonly evidence: number;
  readonly limit?: NonNullable<Finding['limit']>;
}

const NO_EVIDENCE: Evidence = { evidence: -Infinity };

/** `certain` is the evidence that is enough for certainty. */
function test(rule: RolloutRule, plan: RolloutPlan, old: SideCounts, young: SideCounts, certain: number): Evidence {
  switch (rule) {
    case 'errors':
      return failsMore(plan, old, young);
    case 'cold-starts':
      return startsFail(plan, old, young);
    case 'latency':
      return slower(plan, old, young, certain);
  }
}

function failsMore({ errorMargin }: RolloutPlan, old: SideCounts, young: SideCounts): Evidence {
  if (young.failed === 0) return NO_EVIDENCE;
  const now = { bad: young.failed, of: young.calls };
  return { evidence: evidenceOfRise(now, { bad: old.failed, of: old.calls }, errorMargin) };
}

/** A host without room fails the starts of both; where only the new version's fail there is a fixed bound. */
function startsFail({ coldStartFailures }: RolloutPlan, old: SideCounts, young: SideCounts): Evidence {
  if (young.failedStarts === 0) return NO_EVIDENCE;
  const now = { bad: young.failedStarts, of: young.starts };
  if (old.failedStarts === 0) return { evidence: evidenceAbove(now, coldStartFailures) };
  const before = { bad: old.failedStarts, of: old.starts };
  return { evidence: evidenceOfRise(now, before, coldStartFailures) };
}

/**
 * Evidence that more than 5 % of the new version's calls take longer than the old one's 95th percentile times the factor.
 * The percentile is taken so high that it is certainly not too low; half of what may be spent goes for that.
 */
function slower(plan: RolloutPlan, old: SideCounts, young: SideCounts, certain: number): Evidence {
  const of = sum(young.durations, 0);
  const least = percentile(old.durations, SLOW_SHARE * sum(old.durations, 0));
  if (least === undefined || slowerThan(young.durations, limitMs(plan, least)) <= SLOW_SHARE * of) return NO_EVIDENCE;
  const bucket = percentile(old.durations, mostBelow(sum(old.durations, 0), certain + Math.LN2));
  if (bucket === undefined) return NO_EVIDENCE;
  const ms = limitMs(plan, bucket);
  const bad = slowerThan(young.durations, ms);
  return { evidence: evidenceAbove({ bad, of }, SLOW_SHARE) - Math.LN2, limit: { ms, share: bad / of } };
}

function limitMs({ latencyFactor, latencySlackMs }: RolloutPlan, bucket: number): number {
  return Math.max(upperMs(bucket) * latencyFactor, upperMs(bucket) + latencySlackMs);
}

/** How many durations are certainly longer. */
function slowerThan(durations: readonly number[], ms: number): number {
  return sum(durations, bucketOf(ms) + 1);
}

/** The first bucket above which at most `most` durations lie; undefined where `most` is below zero. */
function percentile(durations: readonly number[], most: number): number | undefined {
  let above = 0;
  let found: number | undefined;
  for (let bucket = durations.length - 1; bucket >= 0 && above <= most; bucket -= 1) {
    found = bucket;
    above += durations[bucket] ?? 0;
  }
  return found;
}

/** The most of so many that may be bad while their true share is certainly below 5 %; -1 where not even none is enough. */
function mostBelow(of: number, needed: number): number {
  let [low, high] = [-1, Math.ceil(SLOW_SHARE * of)];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (evidenceBelow({ bad: middle, of }, SLOW_SHARE) >= needed) low = middle;
    else high = middle;
  }
  return low;
}

function sum(counts: readonly number[], from: number): number {
  let total = 0;
  for (let index = from; index < counts.length; index += 1) total += counts[index] ?? 0;
  return total;
}
