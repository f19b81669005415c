import { Counter, type Registry } from 'prom-client';
import type { CountedCopies } from './copy-tally.ts';

/** The metrics about copies of calls that went to shadow versions. */
export interface CopyMetrics {
  add(counted: readonly CountedCopies[]): void;
  /** Forgets the series of a removed function; `label` is `NAME.NAMESPACE`. */
  forget(label: string): void;
}

/** Makes them in a registry. */
export function createCopyMetrics(registry: Registry): CopyMetrics {
  const registers = [registry];
  const known = new Map<string, Set<string>>();
  const copies = new Counter({
    name: 'ebb_shadow_calls_total',
    help: 'Copies of calls that were meant for a shadow version, by what came of them.',
    labelNames: ['function_name', 'outcome'],
    registers,
  });
  const seconds = new Counter({
    name: 'ebb_shadow_seconds_total',
    help: 'Time that calls with a copy took, and that their copies took, where both were answered.',
    labelNames: ['function_name', 'side'],
    registers,
  });
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
