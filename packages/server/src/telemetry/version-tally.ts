import { ERRORS, LIVE_ALIAS } from '@ebb/contract';
import type { FunctionRecord, FunctionRegistry } from '../core/ports.ts';
import { bucketOf, DURATION_BUCKETS } from './fold-durations.ts';
import type { InvocationEvent } from './invocation-event.ts';

/** Status recorded for a caller that went away. */
const CLIENT_CLOSED_STATUS = 499;
/** A WebSocket's life is its caller's choice, and says nothing of the function's speed. */
const SWITCHED_STATUS = 101;

/** Calls of one version, counted; plain enough to be sent to another process. */
export interface CountedVersion {
  readonly namespace: string;
  readonly name: string;
  readonly version: number;
  /** Calls that were answered, or failed because of the function. */
  readonly calls: number;
  /** Of them, those that failed. */
  readonly failed: number;
  /** Durations by bucket; pairs of a bucket's index and what is in it. */
  readonly durations: readonly (readonly [bucket: number, count: number])[];
}

/** Counts the calls of versions that share the live traffic of their function, such as those under rollout. */
export interface VersionTally extends Disposable {
  /** Counts a call; a look at an empty map where no function is shared. */
  record(event: InvocationEvent): void;
  /** What was counted since the last time. */
  take(): readonly CountedVersion[];
}

interface Tally {
  readonly namespace: string;
  readonly name: string;
  readonly version: number;
  calls: number;
  failed: number;
  readonly durations: number[];
}

/**
 * Makes a tally that follows the registry: a function is counted as long as its alias `live` names several versions.
 * `onFailed` is told of each call that failed because of the function.
 */
export function createVersionTally(
  registry: Pick<FunctionRegistry, 'list' | 'watch'>,
  onFailed?: () => void,
): VersionTally {
  const shared = new Map<string, Map<number, Tally>>();

  const follow = (record: FunctionRecord): void => {
    const { namespace, name } = record;
    const label = labelOf(record);
    const numbers = Object.keys(record.aliases.find((alias) => alias.name === LIVE_ALIAS)?.spec.versions ?? {});
    if (numbers.length < 2) {
      shared.delete(label);
      return;
    }
    const before = shared.get(label);
    const tallies = numbers
      .map(Number)
      .map((version): [number, Tally] => [
        version,
        before?.get(version) ?? { namespace, name, version, calls: 0, failed: 0, durations: emptyDurations() },
      ]);
    shared.set(label, new Map(tallies));
  };
  const watching = registry.watch((change) => {
    if (change.kind === 'changed') follow(change.record);
    else shared.delete(labelOf(change.previous));
  });
  for (const record of registry.list()) follow(record);

  return {
    record(event) {
      if (shared.size === 0) return;
      const tally = shared.get(event.label)?.get(event.version);
      if (!tally) return;
      const outcome = outcomeOf(event);
      if (outcome === 'none') return;
      // Whoever gave up had waited that long all the same.
      if (outcome !== 'left') tally.calls += 1;
      if (outcome === 'failed') {
        tally.failed += 1;
        onFailed?.();
      }
      if (event.cold || event.status === SWITCHED_STATUS) return;
      const bucket = bucketOf(event.durationMs - event.phases.queueMs);
      tally.durations[bucket] = (tally.durations[bucket] ?? 0) + 1;
    },
    take() {
      const taken: CountedVersion[] = [];
      for (const tallies of shared.values()) {
        for (const tally of tallies.values()) {
          const durations = [...tally.durations.entries()].filter(([, count]) => count > 0);
          if (tally.calls === 0 && durations.length === 0) continue;
          const { namespace, name, version, calls, failed } = tally;
          taken.push({ namespace, name, version, calls, failed, durations });
          tally.calls = 0;
          tally.failed = 0;
          tally.durations.fill(0);
        }
      }
      return taken;
    },
    [Symbol.dispose]: () => watching[Symbol.dispose](),
  };
}

/** What a call says of the version that served it; `none` where the platform or the caller ended it. */
function outcomeOf({ status, errorCode, phases }: InvocationEvent): 'well' | 'failed' | 'left' | 'none' {
  if (errorCode !== undefined) return ERRORS[errorCode].fault === 'function' ? 'failed' : 'none';
  if (status === CLIENT_CLOSED_STATUS && phases.firstByteMs === undefined) return 'left';
  return status >= 500 ? 'failed' : 'well';
}

function emptyDurations(): number[] {
  return Array.from({ length: DURATION_BUCKETS }, () => 0);
}

function labelOf({ namespace, name }: FunctionRecord): string {
  return `${name}.${namespace}`;
}
