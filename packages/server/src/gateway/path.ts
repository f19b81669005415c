/** Where functions are called. */
const FUNCTION_PREFIX = '/function/';

/** A request target under {@link FUNCTION_PREFIX}, split where the function's own part begins. */
export interface FunctionPath {
  /** `NAME` or `NAME.NAMESPACE` as written. */
  readonly segment: string;
  /** What the function sees: always starts with `/`, query included. */
  readonly rest: string;
}

/** Splits a request target; undefined when it is not under {@link FUNCTION_PREFIX}. Nothing is decoded. */
export function splitFunctionPath(target: string): FunctionPath | undefined {
  if (!target.startsWith(FUNCTION_PREFIX)) return undefined;
  let end = FUNCTION_PREFIX.length;
  for (; end < target.length; end += 1) {
    const char = target.charCodeAt(end);
    if (char === 47 /* / */ || char === 63 /* ? */) break;
  }
  const rest = target.slice(end);
  return {
    segment: target.slice(FUNCTION_PREFIX.length, end),
    rest: rest === '' ? '/' : rest.charCodeAt(0) === 47 ? rest : `/${rest}`,
  };
}
