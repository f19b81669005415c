import { CliError } from './cli-error.ts';

/**
 * A moment as people say it, either so long ago (`10m`) or as a date and time, in the API's form. `option` names where it
 * was given. Throws USAGE.
 */
export async function momentOf(text: string, option: string): Promise<string> {
  const { parseDurationMs } = await import('@ebb/contract');
  const agoMs = parseDurationMs(text);
  const atMs = agoMs === undefined ? Date.parse(text) : Date.now() - agoMs;
  if (!Number.isNaN(atMs)) return new Date(atMs).toISOString();
  throw new CliError('USAGE', `"${option}" is "${text}" but must be a duration such as "10m" or a date and time`);
}

/**
 * A moment to come as people say it, either so long from now (`10m`) or as a date and time, in the API's form. `option`
 * names where it was given. Throws USAGE.
 */
export async function momentAheadOf(text: string, option: string): Promise<string> {
  const { parseDurationMs } = await import('@ebb/contract');
  const aheadMs = parseDurationMs(text);
  const atMs = aheadMs === undefined ? Date.parse(text) : Date.now() + aheadMs;
  if (!Number.isNaN(atMs)) return new Date(atMs).toISOString();
  throw new CliError(
    'USAGE',
    `"${option}" is "${text}" but must be a date and time such as "2027-01-31T08:00", or a duration from now such as "10m"`,
  );
}

/** {@link momentOf} for an option that may be absent. */
export async function optionalMomentOf(text: string | undefined, option: string): Promise<string | undefined> {
  return text === undefined ? undefined : momentOf(text, option);
}
