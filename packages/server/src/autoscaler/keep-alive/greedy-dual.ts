import { fade } from './fold-usage.ts';
import { fixed } from './fixed.ts';
import type { KeepAlivePolicy } from './keep-alive-policy.ts';

const MIB = 2 ** 20;
/**
 * More calls than these make no instance worth more: beyond it every function is busy, and how long each of its
 * instances has had no call tells more. Without it the many instances of busy functions crowd out all others.
 */
const MOST_CALLS = 5;

/**
 * Keeps everything while there is memory, and gives up first what is worth least: seldom called, quick to start,
 * large, and not used for long (greedy-dual-size-frequency as a cache of instances: Fuerst and Sharma, "FaasCache",
 * ASPLOS 2021). Without a memory budget nothing would ever go, so then it keeps for as long as `fixed` does.
 */
export const greedyDual: KeepAlivePolicy = {
  name: 'greedy-dual',
  plan: (usage, facts) =>
    facts.memoryBudgetBytes === undefined ? fixed.plan(usage, facts) : { keepMs: Number.POSITIVE_INFINITY },
  value: ({ usage, facts, idleMs, age }) => {
    const calls = Math.min(MOST_CALLS, fade(usage.calls, idleMs));
    return age + (calls * facts.startMs * MIB) / Math.max(1, facts.memoryBytes);
  },
};
