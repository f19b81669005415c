import { type FunctionSpec, HEALTH_PATH, READY_PATH } from '@ebb/contract';

/** How an instance is asked how it is. */
export interface Question {
  readonly path: string;
  /** Whether an image need not have the path: then only an answer that says so speaks against the instance. */
  readonly isOptional?: true;
}

const HEALTH = 'com.openfaas.health.http.path';
const READY = 'com.openfaas.ready.http.path';

type Asked = Pick<FunctionSpec, 'runtime' | 'healthPath' | 'openfaas' | 'annotations'>;

/**
 * The path by which an instance is asked whether it still answers at all; undefined for an image that names none, of
 * which only the function's own paths are known.
 */
export function questionPath(spec: Asked): string | undefined {
  return healthQuestion(spec)?.path;
}

/** How an instance is asked whether it is well; undefined for an image of which no path is known. */
export function healthQuestion(spec: Asked): Question | undefined {
  if (spec.runtime !== undefined) return { path: HEALTH_PATH };
  return ofImage(spec, [HEALTH, READY]);
}

/** How an instance of an image is asked whether it is ready for calls; undefined where an open port is enough. */
export function readyQuestion(spec: Asked): Question | undefined {
  return ofImage(spec, [READY, HEALTH]);
}

/** How an instance made of a spare, or one found again, is asked whether its code is loaded. */
export const LOADED: Question = { path: READY_PATH };

/** Images made for OpenFaaS may have a health path without saying so. */
function ofImage({ healthPath, openfaas, annotations }: Asked, named: readonly string[]): Question | undefined {
  if (healthPath !== undefined) return { path: healthPath };
  if (openfaas === undefined) return undefined;
  const name = named.find((one) => /^\/[\x21-\x7e]{0,255}$/.test(annotations[one] ?? ''));
  return name === undefined ? { path: HEALTH_PATH, isOptional: true } : { path: annotations[name] ?? HEALTH_PATH };
}
