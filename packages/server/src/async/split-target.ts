import { type FunctionName, parseFunctionName } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';

/**
 * Reads `NAME[.NAMESPACE][:ALIAS|@VERSION]` for something that cannot leave its namespace (T3). `field` is where it was
 * given. Throws INVALID_REQUEST.
 */
export function aimAt(text: string, namespace: string, field: string): FunctionName & { readonly qualifier: string } {
  const named = splitTarget(text, namespace, field);
  if (named.namespace === namespace) return named;
  throw new EbbError(
    'INVALID_REQUEST',
    `"${field}" is ${JSON.stringify(text.slice(0, 80))} but must be of the namespace "${namespace}"`,
  );
}

/** Reads `NAME[.NAMESPACE][:ALIAS|@VERSION]`; `field` is where it was given. Throws INVALID_REQUEST. */
export function splitTarget(
  text: string,
  namespace: string,
  field = 'function',
): FunctionName & { readonly qualifier: string } {
  const at = text.search(/[:@]/);
  const name = parseFunctionName(at === -1 ? text : text.slice(0, at), namespace);
  if (name) return { ...name, qualifier: at === -1 ? '' : text.slice(at) };
  throw new EbbError(
    'INVALID_REQUEST',
    `"${field}" is ${JSON.stringify(text.slice(0, 80))} but must be NAME or NAME.NAMESPACE, also with :ALIAS or @VERSION`,
  );
}
