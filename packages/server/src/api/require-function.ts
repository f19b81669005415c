import { nameSchema } from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import type { FunctionRecord, FunctionRegistry, NamespaceRegistry } from '../core/ports.ts';
import { requireNamespace } from './namespace-routes.ts';

/** Path of a function; what belongs to it is below. */
export const FUNCTION_PATH = '/v1/namespaces/{namespace}/functions/{name}';
/** Path parameters of a function. */
export const functionParams = z.strictObject({ namespace: nameSchema, name: nameSchema });
/** What {@link requireFunction} throws. */
export const FUNCTION_NOT_FOUND = ['NAMESPACE_NOT_FOUND', 'FUNCTION_NOT_FOUND'] as const;

/** The function that a path names. Throws NAMESPACE_NOT_FOUND, FUNCTION_NOT_FOUND. */
export function requireFunction(
  { namespaces, registry }: { readonly namespaces: NamespaceRegistry; readonly registry: FunctionRegistry },
  { namespace, name }: { readonly namespace: string; readonly name: string },
): FunctionRecord {
  requireNamespace(namespaces, namespace);
  const record = registry.resolve(namespace, name);
  if (record) return record;
  throw new EbbError(
    'FUNCTION_NOT_FOUND',
    `there is no function "${name}" in namespace "${namespace}"; "ebb list" shows what is deployed`,
  );
}
