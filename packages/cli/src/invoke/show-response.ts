import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EbbClient } from '@ebb/sdk';
import { CliError, EXIT, QuietExit } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';
import { describeResponse } from './describe-response.ts';

/** Prints a function's answer; exits with 1 when it is anything but 2xx, and throws what the platform answered in its place. */
export async function showResponse(response: Response, context: CommandContext, client: EbbClient): Promise<void> {
  const { output, parameters, stdout, signal } = context;
  const { ERROR_COMPONENT_HEADER } = await import('@ebb/contract');
  if (parameters.flag('verbose')) {
    output.errorLine(`${response.status} ${response.statusText}`.trimEnd());
    for (const [name, value] of response.headers) output.errorLine(`${name}: ${value}`);
    output.errorLine('');
  }
  if (!response.ok && response.headers.has(ERROR_COMPONENT_HEADER)) {
    const { readApiError } = await import('@ebb/sdk');
    throw await readApiError(response, client.url);
  }
  if (output.mode.json) output.result(await describeResponse(response), () => undefined);
  else if (response.body) {
    await pipeline(Readable.fromWeb(response.body), stdout, { end: false, signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new CliError('UNREACHABLE', 'the answer was cut before its end; "ebb logs" may say why', { cause: error });
    });
    if (stdout.isTTY) stdout.write('\n');
  }
  if (!response.ok) {
    output.note(
      `${output.style('red', 'error:')} the function answered ${response.status} ${response.statusText}`.trimEnd(),
    );
    throw new QuietExit(EXIT.failed);
  }
}
