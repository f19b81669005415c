import { CliError } from './cli-error.ts';
import { versionNumberOf } from './version-number.ts';

/** Which alias or version of a function is meant; neither for its bare name. */
export interface CalledPart {
  readonly alias?: string;
  readonly version?: number;
}

/** Takes `:ALIAS` or `@VERSION` off a function's name as in a path: `web:beta`, `web.team@7`. Throws USAGE. */
export async function splitCalledPart(text: string): Promise<{ readonly name: string; readonly part: CalledPart }> {
  const at = text.search(/[:@]/);
  if (at === -1) return { name: text, part: {} };
  const [name, word] = [text.slice(0, at), text.slice(at + 1)];
  if (text[at] === '@') return { name, part: { version: versionNumberOf(word, 'version') } };
  const { NAME_PATTERN } = await import('@ebb/contract');
  if (NAME_PATTERN.test(word)) return { name, part: { alias: word } };
  throw new CliError('USAGE', `the function is "${text}" but what follows ":" must be the name of an alias`);
}
