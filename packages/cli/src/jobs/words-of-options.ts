import { CliError } from '../core/cli-error.ts';
import type { Parameters } from '../core/parameters.ts';

/**
 * A refusal of submitted jobs in the words of the person who wrote them: the option it came from, or the field of the job.
 * Anything else is returned as it is.
 */
export function inWordsOfOptions(
  error: unknown,
  jobs: readonly { readonly name?: string }[],
  parameters: Pick<Parameters, 'text'>,
): unknown {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'INVALID_REQUEST') return error;
  const found = /^"(?:jobs\.(\d+)\.)?spec\.([^"]+)"(.*)$/s.exec(error.message);
  if (!found) return error;
  const [, index = '0', field = '', rest = ''] = found;
  const name = jobs[Number(index)]?.name;
  const what =
    parameters.text(field) !== undefined ? `"--${field}"` : `"${field}"${name ? ` of the job "${name}"` : ''}`;
  return new CliError('INPUT_INVALID', `${what}${rest}`, { cause: error });
}
