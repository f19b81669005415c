import { type AsyncPolicy, resolveAsync } from '@ebb/contract';
import type { FunctionRegistry, Version } from '../core/ports.ts';
import type { Target } from '../store/queue.ts';
import { URL_POLICY } from './url-policy.ts';

/** What functions say of their asynchronous calls. */
export interface Policies {
  /** What holds for calls of a target; the usual where it says nothing, or is gone. */
  of(target: Target): AsyncPolicy;
}

/** Reads policies from the registry; each is worked out once a version. */
export function createPolicies(registry: Pick<FunctionRegistry, 'resolve'>): Policies {
  const known = new WeakMap<Version, AsyncPolicy>();
  const usual = resolveAsync();
  return {
    of(target) {
      if (target.kind !== 'function') return target.kind === 'url' ? URL_POLICY : usual;
      const record = registry.resolve(target.namespace, target.name);
      if (!record) return usual;
      const version = record.versions.find((one) => target.qualifier === `@${one.version}`) ?? record.live;
      if (version.spec.async === undefined) return usual;
      const policy = known.get(version) ?? resolveAsync(version.spec.async);
      known.set(version, policy);
      return policy;
    },
  };
}
