import { CliError } from './cli-error.ts';

/** Reads the number of a version, also as `v7` or `@7`; `what` names where it was given. Throws USAGE. */
export function versionNumberOf(text: string, what: string): number {
  const digits = /^[v@]?([1-9]\d{0,8})$/.exec(text)?.[1];
  if (digits !== undefined) return Number(digits);
  throw new CliError('USAGE', `"${what}" is "${text}" but must be the number of a version, such as 7`);
}
