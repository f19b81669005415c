import type { FunctionSpec } from './function-spec.ts';
import type { FieldChange } from './version-resources.ts';

/**
 * What differs between two specs, field by field in the order of their paths. Maps such as `env` are compared by key,
 * lists as a whole.
 */
export function diffSpecs(before: FunctionSpec, after: FunctionSpec): readonly FieldChange[] {
  const left = new Map(fieldsOf(before));
  const right = new Map(fieldsOf(after));
  const changes: FieldChange[] = [];
  for (const field of [...new Set([...left.keys(), ...right.keys()])].toSorted()) {
    const change = { before: left.get(field), after: right.get(field) };
    if (canonical(change.before) === canonical(change.after)) continue;
    changes.push({
      field,
      ...(change.before === undefined ? {} : { before: change.before }),
      ...(change.after === undefined ? {} : { after: change.after }),
    });
  }
  return changes;
}

/** Every field with a value, by its path. */
function* fieldsOf(value: unknown, path = ''): Generator<[string, unknown]> {
  if (value === undefined) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    yield [path, value];
    return;
  }
  for (const [key, inner] of Object.entries(value)) yield* fieldsOf(inner, path === '' ? key : `${path}.${key}`);
}

function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  );
}
