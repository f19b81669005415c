import { type FunctionResource, type FunctionSpec, functionSpecSchema } from '@ebb/contract';
import { stringify } from 'yaml';

/**
 * The text of an `ebb.yaml` that says what is deployed, without what is the default anyhow. Dollar signs are doubled,
 * so that nothing is taken for a variable when it is read back.
 */
export function exportManifest(
  namespace: string,
  functions: readonly Pick<FunctionResource, 'name' | 'spec' | 'code'>[],
): string {
  const entries = functions.map(({ name, spec, code }) => [
    name,
    { ...withoutDefaults(spec), ...(code === undefined ? {} : { code: `./${name}` }) },
  ]);
  const content: unknown = escapeDollars({ namespace, functions: Object.fromEntries(entries) as unknown });
  return stringify(content, { lineWidth: 0, blockQuote: false });
}

/** A spec without the fields that reading it back fills in. */
function withoutDefaults(spec: FunctionSpec): object {
  const { runtime, image } = spec;
  const defaults = functionSpecSchema.parse(image === undefined ? { runtime } : { image });
  return {
    ...(runtime === undefined ? {} : { runtime }),
    ...(image === undefined ? {} : { image }),
    ...subtract(spec, defaults),
  };
}

/** What of `value` is not the same in `defaults`, by name. */
function subtract(value: object, defaults: object): object {
  const known = new Map<string, unknown>(Object.entries(defaults));
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, own]: [string, unknown]) => {
      const usual = known.get(name);
      if (own === undefined || JSON.stringify(own) === JSON.stringify(usual)) return [];
      if (isMap(own) && isMap(usual)) return [[name, subtract(own, usual)]];
      return [[name, own]];
    }),
  );
}

function escapeDollars(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$', '$$$$');
  if (Array.isArray(value)) return value.map(escapeDollars);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]: [string, unknown]) => [name, escapeDollars(inner)]),
  );
}

function isMap(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
