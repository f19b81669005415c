import type { RolloutPlan, RolloutRule } from '@ebb/contract';
import { bucketOf, upperMs } from '../telemetry/fold-durations.ts';
import { evidenceAbove, evidenceBelow, evidenceOfRise } from './decide-evidence.ts';
import {
  addCounts,
  type BothSides,
  foldStep,
  NOTHING_SEEN,
  type Observations,
  type ObservedWindow,
  type SideCounts,
} from './fold-observations.ts';

/** What a new version was found to be, and the numbers that was found from. */
export interface Finding extends BothSides {
  readonly rule: RolloutRule;
  /** For latency: what 95 % of the new version's calls should take at most, and the share that took longer. */
  readonly limit?: { readonly ms: number; readonly factor: number; readonly share: number };
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
/** Where both were not seen at the same time, the machine may have been busier: latency must differ more, by the factor ... */
const APART_FACTOR = 2;
/** ... and by at least so much. */
const APART_SLACK_MS = 50;

/**
 * Whether the new version is worse than the old one by any of the plan's rules. Every stretch that ends now is looked at,
 * so that a version is caught that begins to fail late. Steps are taken each by itself, since calls are divided
 * differently in each; the evidence of one after the other multiplies. Of the plan's `alpha` each rule may spend an equal
 * part, and of that the stretch from the k-th window on 6/(pi k)^2, which add up to 1; within a stretch the evidence may
 * be looked at any number of times. So in a whole rollout a version that is not worse is taken for worse with probability
 * `alpha` at most.
 */
export function decideWorse(plan: RolloutPlan, observations: Observations): Worse {
  let perhaps: Finding | undefined;
  for (const [index, stretch] of stretchesOf(observations).entries()) {
    for (const rule of plan.watch) {
      const { evidence, limit } = test(rule, plan, stretch);
      for (const start of startsOf(observations, index === 0, rule, stretch.ordinal)) {
        const total = evidence + start.before;
        if (total < enough(rule, plan, Math.max(SUSPICION, plan.alpha), start.ordinal)) continue;
        const sides = start.isEarlier ? observations.total : stretch;
        const finding = { rule, old: sides.old, new: sides.new, ...(limit && { limit }) };
        if (total >= enough(rule, plan, plan.alpha, start.ordinal)) return { kind: 'certain', finding };
        perhaps ??= finding;
      }
    }
  }
  return perhaps ? { kind: 'perhaps', finding: perhaps } : { kind: 'no' };
}

/** Begins a step, and remembers what the one before said. */
export function decideStep(plan: RolloutPlan, observations: Observations): Observations {
  const [whole] = stretchesOf(observations);
  const of = (rule: RolloutRule) => (whole ? test(rule, plan, whole).evidence : 0);
  return foldStep(observations, { errors: of('errors'), latency: of('latency'), 'cold-starts': of('cold-starts') });
}

interface Start {
  readonly ordinal: number;
  /** Evidence of the steps from there to this one. */
  readonly before: number;
  readonly isEarlier: boolean;
}

/** Where a stretch may be taken to begin: at its own window, and the whole of this step also at earlier steps. */
function startsOf({ past }: Observations, isWhole: boolean, rule: RolloutRule, ordinal: number): readonly Start[] {
  const starts: Start[] = [{ ordinal, before: 0, isEarlier: false }];
  if (!isWhole) return starts;
  let before = 0;
  for (const step of past.toReversed()) {
    before += step.evidence[rule];
    starts.push({ ordinal: step.ordinal, before, isEarlier: true });
  }
  return starts;
}

/** The evidence that is enough for a stretch from the window `ordinal` on; for latency half is spent on the percentile. */
function enough(rule: RolloutRule, plan: RolloutPlan, alpha: number, ordinal: number): number {
  const part = 6 / (Math.PI * ordinal) ** 2 / Math.max(1, plan.watch.length);
  return -Math.log(rule === 'latency' ? (alpha * part) / 2 : alpha * part);
}

interface Stretch extends ObservedWindow {
  /** Whether both versions were seen at the same time. */
  readonly isTogether: boolean;
  /** What was seen of the old version in the whole step and shortly before it. */
  readonly wider: SideCounts;
}

/**
 * From each window of this step to now, the shortest last. The old version is seen over the same time; where it had few
 * calls in it beside the new one, as it must with most of the weight gone, over the step and the time before.
 */
function stretchesOf({ windows, baseline }: Observations): readonly Stretch[] {
  const sums: ObservedWindow[] = [];
  let [old, young] = [NOTHING_SEEN, NOTHING_SEEN];
  for (const window of windows.toReversed()) {
    old = addCounts(old, window.old);
    young = addCounts(young, window.new);
    sums.unshift({ ordinal: window.ordinal, old, new: young });
  }
  const wider = addCounts(baseline, old);
  return sums.map((sum) => {
    const isTogether = 2 * sum.old.calls >= sum.new.calls;
    return { ...sum, old: isTogether ? sum.old : wider, wider, isTogether };
  });
}

/** What speaks for a rule being broken, as the logarithm of an e-value. */
interface Evidence {
  readonly evidence: number;
  readonly limit?: NonNullable<Finding['limit']>;
}

function test(rule: RolloutRule, plan: RolloutPlan, stretch: Stretch): Evidence {
  switch (rule) {
    case 'errors':
      return failsMore(plan, stretch);
    case 'cold-starts':
      return startsFail(plan, stretch);
    case 'latency':
      return slower(plan, stretch);
  }
}

function failsMore({ errorMargin }: RolloutPlan, { old, new: young }: Stretch): Evidence {
  const now = { bad: young.failed, of: young.calls };
  return { evidence: evidenceOfRise(now, { bad: old.failed, of: old.calls }, errorMargin) };
}

/** A host without room fails the starts of both; where only the new version's fail there is a fixed bound. */
function startsFail({ coldStartFailures }: RolloutPlan, { old, new: young }: Stretch): Evidence {
  const now = { bad: young.failedStarts, of: young.starts };
  if (old.failedStarts === 0) return { evidence: evidenceAbove(now, coldStartFailures) };
  const before = { bad: old.failedStarts, of: old.starts };
  return { evidence: evidenceOfRise(now, before, coldStartFailures) };
}

/**
 * Evidence that more than 5 % of the new version's calls take longer than the old one's 95th percentile times the factor.
 * The percentile is taken so high that it is certainly not too low; none is known of few calls.
 */
function slower(plan: RolloutPlan, stretch: Stretch): Evidence {
  const { new: young } = stretch;
  const found = percentileOf(plan, stretch);
  if (!found) return { evidence: 0 };
  const limit = limitOf(plan, found.ms, found.isTogether);
  const of = sum(young.paced, 0);
  const bad = sum(young.paced, bucketOf(limit.ms) + 1);
  return { evidence: evidenceAbove({ bad, of }, SLOW_SHARE), limit: { ...limit, share: of === 0 ? 0 : bad / of } };
}

/** What 95 % of the old version's calls certainly take at most: of the same time, or where that is too short of longer. */
function percentileOf(plan: RolloutPlan, { old, wider, ordinal, isTogether }: Stretch) {
  for (const [seen, together] of [[old, isTogether] as const, [wider, false] as const]) {
    const most = mostBelow(sum(seen.paced, 0), enough('latency', plan, plan.alpha, ordinal));
    const bucket = percentile(seen.paced, most);
    if (bucket !== undefined) return { ms: upperMs(bucket), isTogether: together };
  }
  return undefined;
}

function limitOf({ latencyFactor, latencySlackMs }: RolloutPlan, percentileMs: number, isTogether: boolean) {
  const factor = isTogether ? latencyFactor : latencyFactor * APART_FACTOR;
  const slackMs = isTogether ? latencySlackMs : Math.max(latencySlackMs, APART_SLACK_MS);
  return { ms: Math.max(percentileMs * factor, percentileMs + slackMs), factor };
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
