import { LIVE_ALIAS } from '@ebb/contract';
import type { FunctionRegistry, Rollouts } from '../core/ports.ts';

/** A registry that leaves a function alone while a rollout of it runs. */
export function withoutRollouts<T extends FunctionRegistry>(registry: T, rollouts: Pick<Rollouts, 'requireNone'>): T {
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
  };
}
