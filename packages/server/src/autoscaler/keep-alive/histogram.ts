import { fixed } from './fixed.ts';
import { gapAt } from './gap-counts.ts';
import type { KeepAliveFacts, KeepAlivePlan, KeepAlivePolicy } from './keep-alive-policy.ts';
import type { Usage } from './fold-usage.ts';

/** Fewer gaps than these predict nothing. */
const FEWEST_GAPS = 8;
/** A next call is expected between the gap that few and the gap that nearly all were longer than. */
const HEAD_SHARE = 0.05;
const TAIL_SHARE = 0.99;
/** The window is made wider by this, on both sides. */
const MARGIN = 0.1;
/** An instance is held idle for a predicted call at most this many times as long as its spec says. */
const MOST_HELD = 4;
/** What is not needed for long stays this share of `idle` for a call that comes out of turn. */
const GRACE_SHARE = 0.05;

/**
 * Keeps instances by the history of gaps between calls (idle-time histogram: Shahrad et al., "Serverless in the
 * Wild", USENIX ATC 2020). Where the next call mostly comes within `idle`, it keeps an instance until nearly all
 * would have come. Where it mostly comes later, but at a time that can be told, it lets the instance go and starts
 * one shortly before. Where nothing can be told it does as `fixed`.
 */
export const histogram: KeepAlivePolicy = {
  name: 'histogram',
  plan: (usage, facts) => predict(usage, facts) ?? fixed.plan(usage, facts),
  value: (instance) => fixed.value(instance),
};

function predict({ gaps }: Usage, { idleMs, startMs }: KeepAliveFacts): KeepAlivePlan | undefined {
  if (gaps.total < FEWEST_GAPS || gaps.beyond > gaps.total) return undefined;
  const headMs = gapAt(gaps, HEAD_SHARE).fromMs * (1 - MARGIN);
  const untilMs = gapAt(gaps, TAIL_SHARE).toMs * (1 + MARGIN);
  const mostMs = MOST_HELD * idleMs;
  if (headMs <= idleMs) {
    // Letting go earlier than `idle` says would save little and make the next of several calls at once cold.
    return untilMs <= idleMs || untilMs > mostMs ? undefined : { keepMs: untilMs };
  }
  const fromMs = Math.max(0, headMs - startMs);
  return untilMs - fromMs > mostMs ? undefined : { keepMs: idleMs * GRACE_SHARE, prewarm: { fromMs, untilMs } };
}
