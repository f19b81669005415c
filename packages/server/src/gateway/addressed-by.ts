import { ALIAS_HEADER, VERSION_HEADER } from '@ebb/contract';
import { headerValue } from './traffic/read-headers.ts';

/**
 * A function's segment with what the request's `X-Ebb-Version: 7` or `X-Ebb-Alias: beta` says added to it, as the path
 * would say it. The path goes ahead of both, the version ahead of the alias.
 */
export function addressedBy(segment: string, rawHeaders: readonly string[]): string {
  const version = headerValue(rawHeaders, VERSION_HEADER);
  const alias = version === undefined ? headerValue(rawHeaders, ALIAS_HEADER) : undefined;
  if ((version ?? alias) === undefined || /[:@]/.test(segment)) return segment;
  return version === undefined ? `${segment}:${alias}` : `${segment}@${version}`;
}
