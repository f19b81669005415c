import { describeProblem, submitJobsSchema } from '@ebb/contract';
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
  const text = inWords(error.message, jobs, parameters);
  return text === undefined ? error : new CliError('INPUT_INVALID', text, { cause: error });
}

/** Refuses jobs that the server would refuse for what they say, before anything is done for them. Throws INPUT_INVALID. */
export function checkJobs(jobs: readonly { readonly name?: string }[], parameters: Pick<Parameters, 'text'>): void {
  const checked = submitJobsSchema.safeParse({ jobs });
  if (checked.success) return;
  const { message } = describeProblem(checked.error, { jobs });
  throw new CliError('INPUT_INVALID', inWords(message, jobs, parameters) ?? message);
}

function inWords(
  message: string,
  jobs: readonly { readonly name?: string }[],
  parameters: Pick<Parameters, 'text'>,
): string | undefined {
  const found = /^"(?:jobs\.(\d+)\.)?spec\.([^"]+)"(.*)$/s.exec(message);
  if (!found) return undefined;
  const [, index = '0', field = '', rest = ''] = found;
  const name = jobs[Number(index)]?.name;
  const what =
    parameters.text(field) !== undefined ? `"--${field}"` : `"${field}"${name ? ` of the job "${name}"` : ''}`;
  return `${what}${rest}`;
}
