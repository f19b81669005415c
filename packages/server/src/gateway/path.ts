/** Where functions are called. */
const FUNCTION_PREFIX = '/function/';
/** Where calls of them are accepted and made later. */
export const ASYNC_PREFIX = '/async-function/';

/** A request's target, split where the function's own part begins. */
export interface FunctionPath {
  /** `NAME` or `NAME.NAMESPACE`, with `:ALIAS` or `@VERSION` if it was said, as written. */
  readonly segment: string;
  /** What the function sees: always starts with `/`, query included. */
  readonly rest: string;
  /** Set where the host named the function, and the whole path is the function's. */
  readonly byHost?: true;
}

/** Splits a request target; undefined when it is not under the prefix, `/function/`. Nothing is decoded. */
export function splitFunctionPath(target: string, prefix = FUNCTION_PREFIX): FunctionPath | undefined {
  if (!target.startsWith(prefix)) return undefined;
  let end = prefix.length;
  for (; end < target.length; end += 1) {
    const char = target.charCodeAt(end);
    if (char === 47 /* / */ || char === 63 /* ? */) break;
  }
  const rest = target.slice(end);
  return {
    segment: target.slice(prefix.length, end),
    rest: rest === '' ? '/' : rest.charCodeAt(0) === 47 ? rest : `/${rest}`,
  };
}

/** The part of a caller's path that names the function. */
export function mountOf({ segment, byHost }: FunctionPath): string {
  return byHost === true ? '/' : FUNCTION_PREFIX + segment;
}

/**
 * What a request's host names, for hosts below `domain`: `NAME.DOMAIN`, `NAME.NAMESPACE.DOMAIN`, and each with
 * `ALIAS--` or `vNUMBER--` ahead, which is read up to the first `--` unless the whole is a function's name. Undefined
 * for every other host. A name of three parts or none comes back as a segment that no function can have.
 */
export function splitHost(
  host: string,
  target: string,
  options: { readonly domain: string; readonly isFunction: (segment: string) => boolean },
): FunctionPath | undefined {
  const labels = hostLabels(host, options.domain);
  if (labels === undefined) return undefined;
  const rest = target.startsWith('/') ? target : `/${target}`;
  const dashes = labels.indexOf('--');
  if (dashes <= 0 || options.isFunction(labels)) return { segment: labels, rest, byHost: true };
  const part = labels.slice(0, dashes);
  const name = labels.slice(dashes + 2);
  const suffix = /^v\d+$/.test(part) ? `@${part.slice(1)}` : `:${part}`;
  return { segment: name + suffix, rest, byHost: true };
}

/** What stands before `.domain` in a `Host` header, in lower case; undefined for other hosts. */
function hostLabels(host: string, domain: string): string | undefined {
  const colon = host.lastIndexOf(':');
  const bare = colon === -1 ? host : host.slice(0, colon);
  const lower = (bare.endsWith('.') ? bare.slice(0, -1) : bare).toLowerCase();
  const end = lower.length - domain.length - 1;
  if (end < 0 || lower.charCodeAt(end) !== 46 /* . */ || !lower.endsWith(domain)) return undefined;
  const labels = lower.slice(0, end);
  // No path of ours can be smuggled in by a host.
  return /[@:/]/.test(labels) ? '' : labels;
}
