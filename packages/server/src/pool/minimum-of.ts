import type { AskedReplicas, Version } from '../core/ports.ts';

/**
 * The fewest instances of a version without traffic. Instances that were asked for stay as long as the spec's minimum
 * would; where that is 0 they stay as if a call had just ended, so that a function which is to go to zero still does.
 * `now` is in milliseconds since the Unix epoch.
 */
export function minimumOf({ limits }: Version, asked: AskedReplicas | undefined, now: number): number {
  const { scaleMin, scaleMax, idleMs } = limits;
  if (!asked) return scaleMin;
  if (scaleMin === 0 && now - asked.askedAt >= idleMs) return 0;
  return Math.min(asked.count, scaleMax);
}
