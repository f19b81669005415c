import type { CountedCopies } from './copy-tally.ts';
import type { MetricFamilies } from './metric-families.ts';

/** The metrics about copies of calls that went to shadow versions. */
export interface CopyMetrics {
  add(counted: readonly CountedCopies[]): void;
  /** Forgets the series of a removed function; `label` is `NAME.NAMESPACE`. */
  forget(label: string): void;
}

/** Makes them. */
export function createCopyMetrics(families: MetricFamilies): CopyMetrics {
  const known = new Map<string, Set<string>>();
  const copies = families.counter(
    'ebb_shadow_calls_total',
    'Copies of calls that were meant for a shadow version, by what came of them.',
    ['function_name', 'outcome'],
  );
  const seconds = families.counter(
    'ebb_shadow_seconds_total',
    'Time that calls with a copy took, and that their copies took, where both were answered.',
    ['function_name', 'side'],
  );
  return {
    add(counted) {
      for (const { label, outcomes, primarySeconds, shadowSeconds } of counted) {
        const seen = known.get(label) ?? new Set();
        known.set(label, seen);
        for (const [outcome, count] of outcomes) {
          seen.add(outcome);
          copies.labels(label, outcome).inc(count);
        }
        seconds.labels(label, 'primary').inc(primarySeconds);
        seconds.labels(label, 'shadow').inc(shadowSeconds);
      }
    },
    forget(label) {
      for (const outcome of known.get(label) ?? []) copies.remove(label, outcome);
      if (known.delete(label)) for (const side of ['primary', 'shadow']) seconds.remove(label, side);
    },
  };
}
