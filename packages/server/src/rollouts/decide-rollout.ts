import { formatDuration, type RolloutPlan, type RolloutReason, type RolloutSide, WEIGHT_TOTAL } from '@ebb/contract';
import { upperMs } from '../telemetry/fold-durations.ts';
import { decideWorse, type Finding } from './decide-worse.ts';
import { describeSide, type Observations, type SideCounts, stepOf } from './fold-observations.ts';

/** Where a rollout is. */
export interface RolloutProgress {
  readonly step: number;
  /** Whether instances for the step are being started, or the step's weight is in force. */
  readonly phase: 'warming' | 'watching';
  /** Since when, in milliseconds of a clock that never goes back. */
  readonly sinceMs: number;
  readonly isPaused: boolean;
}

/** What is seen of a rollout now. */
export interface RolloutObservation {
  readonly from: number;
  readonly to: number;
  readonly seen: Observations;
  /** Instances of the new version: those that are ready, and those its next weight needs. */
  readonly ready: number;
  readonly wanted: number;
}

/** What is to be done, why, and the numbers that was decided from. */
export interface RolloutDecision {
  readonly kind: 'advance' | 'hold' | 'roll-back' | 'finish';
  readonly reason: RolloutReason;
  readonly message: string;
  readonly old: RolloutSide;
  readonly new: RolloutSide;
}

/** Instances are waited for no longer than this, as long as there is one: the host may have no room for more. */
const WARM_AT_MOST_MS = 120_000;

/**
 * Where the old version has fewer calls than the new one from the first step on, as with blue-green, it is seen for so
 * many times `samples` before, as long as they come soon; `samples` calls of it are waited for in any case.
 */
const BASELINE_SAMPLES = 20;
const BASELINE_AT_MOST_MS = 30_000;

/**
 * Decides what comes next in a rollout. A version that is worse is taken back whatever else is the case, also while a
 * person has paused it. One is never let go on without the calls the plan asks for (S1), unless it says so itself.
 * `now` is of the clock of `progress.sinceMs`.
 */
export function decideRollout(
  plan: RolloutPlan,
  progress: RolloutProgress,
  observation: RolloutObservation,
  now: number,
): RolloutDecision {
  const { from, to, seen } = observation;
  const { total } = seen;
  const sides = { old: describeSide(from, total.old), new: describeSide(to, total.new) };
  const say = (kind: RolloutDecision['kind'], reason: RolloutReason, message: string): RolloutDecision => ({
    kind,
    reason,
    message,
    ...sides,
  });

  // With most calls gone the old version will hardly get more: the evidence is sound with however few there are.
  const isOldSpent = isMost(weightAt(plan, progress));
  const isEnough = total.new.calls >= plan.samples && (isOldSpent || total.old.calls >= plan.samples);
  const worse = decideWorse(plan, seen);
  if (worse.kind === 'certain' && (isEnough || worse.finding.rule === 'cold-starts')) {
    return describeFinding(plan, observation, worse.finding);
  }
  if (progress.isPaused) return say('hold', 'BY_HAND', 'paused by hand; "ebb rollout resume" lets it go on');

  const elapsedMs = now - progress.sinceMs;
  if (progress.phase === 'warming') {
    const lacking = plan.watch.length === 0 ? 0 : baselineLack(plan, progress.step, total.old.calls);
    if (lacking > 0 && elapsedMs < BASELINE_AT_MOST_MS) {
      return say(
        'hold',
        'WARMING',
        `${count(lacking, 'more call')} of version ${from} ${lacking === 1 ? 'is' : 'are'} wanted to compare with`,
      );
    }
    // Less than what is wanted is good enough then, but not less than a comparison needs: later there will be none.
    if (lacking > 0 && total.old.calls < plan.samples) {
      const few = describeFewOld(plan, observation);
      if (elapsedMs < plan.maxWaitMs) return say('hold', 'NOT_ENOUGH_DATA', few);
      if (plan.afterWait === 'hold') return say('hold', 'WAITED_TOO_LONG', describeWaited(plan, few));
    }
    return decideWarming(observation, elapsedMs, say);
  }

  const { pauseMs } = plan.steps[progress.step] ?? { pauseMs: 0 };
  const isLast = progress.step >= plan.steps.length - 1;
  const goOn = (reason: RolloutReason, message: string) => say(isLast ? 'finish' : 'advance', reason, message);
  if (isLast && pauseMs === 0) return goOn('GOOD', 'it has all calls, and nobody asked to watch it further');
  const leftMs = pauseMs - elapsedMs;

  const lacking = plan.watch.length === 0 ? undefined : describeLack(plan, observation);
  if (lacking !== undefined) {
    if (leftMs + plan.maxWaitMs > 0) return say('hold', 'NOT_ENOUGH_DATA', lacking);
    if (plan.afterWait === 'advance' && worse.kind === 'no') {
      return goOn('WAITED_TOO_LONG', `${lacking}, and ${formatDuration(plan.maxWaitMs)} of waiting are over`);
    }
    return say('hold', 'WAITED_TOO_LONG', describeWaited(plan, lacking));
  }
  if (worse.kind !== 'no') {
    return say('hold', 'LOOKS_WORSE', `${describe(plan, observation, worse.finding)}, but that may be chance`);
  }
  if (leftMs > 0)
    return say('hold', 'PAUSE_RUNS', `all is well so far; the pause is over in ${formatDuration(leftMs)}`);
  return goOn('GOOD', describeGood(sides));
}

/** The weight of the new version at a step, in percent. */
export function weightAt(plan: RolloutPlan, { step, phase }: Pick<RolloutProgress, 'step' | 'phase'>): number {
  const index = phase === 'warming' ? step - 1 : step;
  return index < 0 ? 0 : (plan.steps[index]?.weight ?? WEIGHT_TOTAL);
}

/** Whether the new version has most of the calls with that weight, in percent. */
function isMost(weight: number): boolean {
  return weight > WEIGHT_TOTAL / 2;
}

/** How many more calls of the old version are wanted before the first step. */
function baselineLack(plan: RolloutPlan, step: number, oldCalls: number): number {
  const { weight = 0 } = plan.steps[step] ?? {};
  return step === 0 && isMost(weight) ? Math.max(0, plan.samples * BASELINE_SAMPLES - oldCalls) : 0;
}

function decideWarming(
  { ready, wanted, to }: RolloutObservation,
  elapsedMs: number,
  say: (kind: RolloutDecision['kind'], reason: RolloutReason, message: string) => RolloutDecision,
): RolloutDecision {
  const have = `${ready} of ${count(wanted, 'instance')} of version ${to} ${wanted === 1 ? 'is' : 'are'} ready`;
  if (ready >= wanted) return say('advance', 'WARM', have);
  if (ready > 0 && elapsedMs >= WARM_AT_MOST_MS) return say('advance', 'WARM', `${have}; more did not come in time`);
  return say('hold', 'WARMING', have);
}

function describeLack(plan: RolloutPlan, { from, to, seen }: RolloutObservation): string | undefined {
  const { calls } = stepOf(seen).new;
  const oldCalls = seen.total.old.calls;
  if (calls < plan.samples) {
    return `version ${to} had ${calls} of the ${plan.samples} calls this step needs`;
  }
  return oldCalls >= plan.samples ? undefined : describeFewOld(plan, { from, seen });
}

function describeFewOld({ samples }: RolloutPlan, { from, seen }: Pick<RolloutObservation, 'from' | 'seen'>): string {
  return `version ${from} had ${seen.total.old.calls} of the ${samples} calls a comparison needs`;
}

function describeWaited({ maxWaitMs }: RolloutPlan, lacking: string): string {
  return `${lacking}, and ${formatDuration(maxWaitMs)} of waiting are over; "ebb rollout promote" or "abort" decides`;
}

function describeFinding(plan: RolloutPlan, observation: RolloutObservation, finding: Finding): RolloutDecision {
  const { from, to } = observation;
  const reasons = { errors: 'MORE_ERRORS', latency: 'SLOWER', 'cold-starts': 'COLD_STARTS_FAIL' } as const;
  return {
    kind: 'roll-back',
    reason: reasons[finding.rule],
    message: `${describe(plan, observation, finding)}; by chance in less than 1 of ${Math.round(1 / plan.alpha)} rollouts`,
    old: describeSide(from, finding.old),
    new: describeSide(to, finding.new),
  };
}

function describe(plan: RolloutPlan, { from, to }: RolloutObservation, finding: Finding): string {
  const { old, new: young, limit } = finding;
  switch (finding.rule) {
    case 'errors':
      return `version ${to} failed ${failedOf(young)}, version ${from} ${failedOf(old)}, more than ${percent(plan.errorMargin)} apart`;
    case 'cold-starts':
      return `${failedStartsOf(to, young)}${old.starts === 0 ? '' : `, ${failedStartsOf(from, old)}`}`;
    case 'latency':
      return `${percent(limit?.share ?? 0)} of the calls of version ${to} took longer than ${formatDuration(limit?.ms ?? upperMs(0))}, ${limit?.factor ?? plan.latencyFactor} times what 95 % of those of version ${from} take at most`;
  }
}

function failedOf({ failed, calls }: Pick<SideCounts, 'failed' | 'calls'>): string {
  return `${failed} of ${count(calls, 'call')}${calls === 0 ? '' : ` (${percent(failed / calls)})`}`;
}

function failedStartsOf(version: number, { failedStarts, starts }: SideCounts): string {
  return `version ${version} failed ${failedStarts} of ${count(starts, 'start')}`;
}

/** Both sides in numbers, for a version that did well. */
function describeGood({ old, new: young }: Pick<RolloutDecision, 'old' | 'new'>): string {
  const speed =
    old.p95Ms === undefined || young.p95Ms === undefined
      ? ''
      : `; 95 % took ${formatDuration(young.p95Ms)} at most, there ${formatDuration(old.p95Ms)}`;
  return `no worse: version ${young.version} failed ${failedOf(young)}, version ${old.version} ${failedOf(old)}${speed}`;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
