import type { FunctionName } from '@ebb/contract';
import type { CalledPart } from '../core/called-part.ts';
import type { Connection } from '../core/command.ts';

/** Whether the function wants a token; one that is public must not see it. */
export async function needsToken(
  { client, hasToken }: Connection,
  ref: FunctionName,
  { alias, version }: CalledPart,
  signal: AbortSignal,
): Promise<boolean> {
  if (!hasToken) return false;
  if (alias === undefined && version === undefined) {
    return (await client.functions.get(ref, { signal })).spec.auth === 'required';
  }
  const versions = await client.functions.versions(ref, { signal });
  return versions
    .filter((one) =>
      alias === undefined ? one.version === version || one.live : one.aliases.some(({ name }) => name === alias),
    )
    .some(({ spec }) => spec.auth === 'required');
}
