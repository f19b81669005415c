import type { FunctionRegistry } from '../../core/ports.ts';
import type { InstancePools } from '../../pool/instance-pools.ts';
import type { FunctionGauges } from '../../telemetry/metrics.ts';

/** How every function stands now, for the metrics. */
export function* functionGauges(registry: FunctionRegistry, pools: InstancePools): Generator<FunctionGauges> {
  for (const { namespace, name, live } of registry.list()) {
    const pool = pools.find(live.key);
    const { ready = 0, waiting = 0 } = pool ?? {};
    yield { namespace, name, instances: ready, waiting, frozen: pool?.frozen().length ?? 0 };
  }
}
