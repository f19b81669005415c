import type { ResolvedLimits } from '@ebb/contract';

/** What the number of a function's instances follows, and how much of it each is meant to bear. */
export interface TargetLoad {
  /** `rps`, `capacity`, `cpu` (millicores), `queue`, or a rule's own name. */
  readonly scalingType: string;
  readonly load: number;
}

const TYPE = 'com.openfaas.scale.type';
const TARGET = 'com.openfaas.scale.target';
const DEFAULT_TARGET = 50;
const TYPES = { concurrency: 'capacity', rps: 'rps', cpu: 'cpu', queue: 'queue' } as const;

/** The target of a version in the terms of OpenFaaS: as its labels say, or what Ebb scales it by where they say nothing. */
export function describeTarget(version: {
  readonly spec: { readonly labels: Readonly<Record<string, string>> };
  readonly limits: Pick<ResolvedLimits, 'scaling'>;
}): TargetLoad {
  const { labels } = version.spec;
  const { mode, target } = version.limits.scaling;
  const load = Number(labels[TARGET]);
  if (labels[TYPE] !== undefined || labels[TARGET] !== undefined) {
    return { scalingType: labels[TYPE] ?? 'rps', load: load > 0 ? load : DEFAULT_TARGET };
  }
  return { scalingType: TYPES[mode], load: mode === 'cpu' ? Math.round(target * 1000) : target };
}
