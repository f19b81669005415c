/** One value that differs. Absent means that it is not there on that side. */
export interface FieldChange {
  /** Names from the outside in, joined by dots. */
  readonly field: string;
  readonly from?: unknown;
  readonly to?: unknown;
}

/** The values that differ between two plain objects, by name; lists are compared as a whole. */
export function diffFields(from: object, to: object): readonly FieldChange[] {
  return compare('', from, to);
}

function compare(field: string, from: unknown, to: unknown): readonly FieldChange[] {
  if (isMap(from) && isMap(to)) {
    const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
    return names.flatMap((name) => compare(field === '' ? name : `${field}.${name}`, from[name], to[name]));
  }
  if (JSON.stringify(from) === JSON.stringify(to)) return [];
  return [{ field, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }];
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
