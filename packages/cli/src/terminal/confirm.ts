import { CliError } from '../core/cli-error.ts';

/** Asks a person on a terminal for a yes. Throws INTERRUPTED on Ctrl-C. */
export async function confirm(
  question: string,
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input, output });
  try {
    return /^y(?:es)?$/i.test((await lines.question(`${question} [y/N] `, { signal })).trim());
  } catch (cause) {
    throw new CliError('INTERRUPTED', 'interrupted', { cause });
  } finally {
    lines.close();
  }
}
