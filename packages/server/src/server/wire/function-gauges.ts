import type { VersionKey } from '@ebb/contract';
import { describeTarget } from '../../api/openfaas/describe-target.ts';
import type { FunctionRegistry } from '../../core/ports.ts';
import type { CallsElsewhere } from '../../gateways/calls-elsewhere.ts';
import type { InstancePools } from '../../pool/instance-pools.ts';
import type { FunctionGauges } from '../../telemetry/function-metrics.ts';

/** Names the queue of a function's asynchronous calls; all are in one, so this is what they are counted under. */
const QUEUE_ANNOTATION = 'com.openfaas.queue';
const DEFAULT_QUEUE = 'faas-request';

/** What {@link functionGauges} reads. */
export interface FunctionGaugesOptions {
  readonly registry: Pick<FunctionRegistry, 'list'>;
  readonly pools: Pick<InstancePools, 'all' | 'find' | 'replicas'>;
  /** Calls that run in gateway processes, and what these hold of the pools. */
  readonly elsewhere: CallsElsewhere;
}

/** How every function stands now, for the metrics. */
export function* functionGauges(options: FunctionGaugesOptions): Generator<FunctionGauges> {
  const { registry, pools } = options;
  const running = callsByFunction(options);
  for (const record of registry.list()) {
    const { namespace, name, live } = record;
    let [replicas, ready, frozen, waiting] = [0, 0, 0, 0];
    for (const version of record.versions) {
      const pool = pools.find(version.key);
      const standing = pools.replicas(version);
      replicas += standing.wanted;
      ready += standing.ready;
      frozen += pool?.frozen().length ?? 0;
      waiting += pool?.waiting ?? 0;
    }
    yield {
      namespace,
      name,
      replicas,
      ready,
      frozen,
      waiting,
      running: running.get(functionOf(live.key)) ?? 0,
      min: live.limits.scaling.minActive ?? live.limits.scaleMin,
      target: describeTarget(live),
      queue: live.spec.annotations[QUEUE_ANNOTATION] ?? DEFAULT_QUEUE,
    };
  }
}

/** Calls of each function, of all its versions, that have begun and not ended; copies for shadow versions are none. */
function callsByFunction({ pools, elsewhere }: FunctionGaugesOptions): ReadonlyMap<string, number> {
  const calls = new Map<string, number>();
  const add = (key: VersionKey, count: number) => {
    const name = functionOf(key);
    calls.set(name, (calls.get(name) ?? 0) + count);
  };
  for (const { version, inFlight, waiting, isShadow } of pools.all()) {
    if (isShadow) continue;
    const { leased = 0, asked = 0 } = elsewhere.lent.get(version.key) ?? {};
    // What a gateway process has of a pool is no call: it keeps slots for those to come.
    add(version.key, Math.max(0, inFlight - leased) + Math.max(0, waiting - asked));
  }
  for (const [key, count] of elsewhere.calls) if (pools.find(key)?.isShadow !== true) add(key, count);
  return calls;
}

/** `NAMESPACE/NAME`. */
function functionOf(key: VersionKey): string {
  return key.slice(0, key.lastIndexOf('@'));
}
