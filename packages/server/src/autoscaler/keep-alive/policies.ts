import type { KeepAlive } from '@ebb/contract';
import { auto } from './auto.ts';
import { fixed } from './fixed.ts';
import { greedyDual } from './greedy-dual.ts';
import { histogram } from './histogram.ts';
import type { KeepAlivePolicy } from './keep-alive-policy.ts';

/** Every keep-alive policy by its name. */
export const KEEP_ALIVE_POLICIES: Readonly<Record<KeepAlive, KeepAlivePolicy>> = {
  fixed,
  histogram,
  'greedy-dual': greedyDual,
  auto,
};
