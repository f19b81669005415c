import { greedyDual } from './greedy-dual.ts';
import { histogram } from './histogram.ts';
import type { KeepAlivePolicy } from './keep-alive-policy.ts';

/** The history of gaps says when an instance goes and comes back; what it is worth says who makes room. */
export const auto: KeepAlivePolicy = {
  name: 'auto',
  plan: (usage, facts) => histogram.plan(usage, facts),
  value: (instance) => greedyDual.value(instance),
};
