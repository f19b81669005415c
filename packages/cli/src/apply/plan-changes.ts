import {
  diffSpecs,
  type FieldChange,
  type FunctionName,
  type FunctionResource,
  type FunctionSpec,
} from '@ebb/contract';

/** A function as a file wants it. */
export interface Desired {
  readonly ref: FunctionName;
  readonly spec: FunctionSpec;
  /** Digest of the code of a managed runtime. */
  readonly code?: string;
}

/** What is to be done about one function. */
export interface PlannedChange {
  readonly action: 'create' | 'update' | 'unchanged' | 'remove';
  readonly ref: FunctionName;
  /** What differs; of a function that is made, what it says beyond the defaults is not repeated here. */
  readonly fields: readonly FieldChange[];
}

/**
 * Compares what a file wants with what is deployed, by the order of the file; with `prune`, functions of the same
 * namespaces that the file does not name are removed last.
 */
export function planChanges(
  desired: readonly Desired[],
  deployed: readonly FunctionResource[],
  options: { readonly prune: boolean },
): readonly PlannedChange[] {
  const byKey = new Map(deployed.map((resource) => [keyOf(resource), resource]));
  const changes = desired.map(({ ref, spec, code }): PlannedChange => {
    const current = byKey.get(keyOf(ref));
    if (!current) return { action: 'create', ref, fields: [] };
    const fields = [...diffSpecs(current.spec, spec), ...diffCode(current.code, code)];
    return { action: fields.length === 0 ? 'unchanged' : 'update', ref, fields };
  });
  if (!options.prune) return changes;
  const wanted = new Set(desired.map(({ ref }) => keyOf(ref)));
  const removed = deployed
    .filter((resource) => !wanted.has(keyOf(resource)))
    .map(({ namespace, name }): PlannedChange => ({ action: 'remove', ref: { namespace, name }, fields: [] }));
  return [...changes, ...removed];
}

function diffCode(before: string | undefined, after: string | undefined): readonly FieldChange[] {
  if (before === after) return [];
  const change = { field: 'code', ...(before === undefined ? {} : { before }) };
  return [{ ...change, ...(after === undefined ? {} : { after }) }];
}

function keyOf({ namespace, name }: FunctionName): string {
  return `${namespace}/${name}`;
}
