import { type FunctionName, parseFunctionName } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';

/** Reads `NAME[.NAMESPACE][:ALIAS|@VERSION]`. Throws INVALID_REQUEST. */
export function splitTarget(text: string, namespace: string): FunctionName & { readonly qualifier: string } {
  const at = text.search(/[:@]/);
  const name = parseFunctionName(at === -1 ? text : text.slice(0, at), namespace);
  if (name) return { ...name, qualifier: at === -1 ? '' : text.slice(at) };
  throw new EbbError(
    'INVALID_REQUEST',
    `"function" is ${JSON.stringify(text.slice(0, 80))} but must be NAME or NAME.NAMESPACE, also with :ALIAS or @VERSION`,
  );
}
