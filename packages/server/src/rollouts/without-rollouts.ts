import { LIVE_ALIAS } from '@ebb/contract';
import type { FunctionRegistry, Rollouts } from '../core/ports.ts';

/**
 * A registry that leaves a function alone while a rollout of it runs. A rollback by hand ends the rollout: whoever is
 * in a hurry need not know that there is one.
 */
export function withoutRollouts<T extends FunctionRegistry>(
  registry: T,
  rollouts: Pick<Rollouts, 'requireNone' | 'abortRunning'>,
): T {
  return {
    ...registry,
    async put(input, options) {
      rollouts.requireNone(input.namespace, input.name);
      return registry.put(input, options);
    },
    async setAlias(namespace, name, alias, spec, options) {
      if (alias === LIVE_ALIAS) rollouts.requireNone(namespace, name);
      return registry.setAlias(namespace, name, alias, spec, options);
    },
    async publish(namespace, name, version, options) {
      if (options.alias === LIVE_ALIAS) rollouts.requireNone(namespace, name);
      return registry.publish(namespace, name, version, options);
    },
    async rollback(namespace, name, to) {
      const aborted = await rollouts.abortRunning(namespace, name);
      const record = aborted && registry.resolve(namespace, name);
      // The version it began from has all calls again.
      if (record && (to === undefined || to === record.live.version)) return record;
      return registry.rollback(namespace, name, to);
    },
  };
}
