import { type FunctionSpec, HEALTH_PATH } from '@ebb/contract';

/**
 * The path by which an instance is asked whether it still answers at all; undefined for an image that names none, of
 * which only the function's own paths are known.
 */
export function questionPath({ runtime, healthPath }: FunctionSpec): string | undefined {
  return runtime === undefined ? healthPath : HEALTH_PATH;
}
