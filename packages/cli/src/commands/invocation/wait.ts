import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { showResult, waitForCall } from '../../invocation/show-result.ts';

/** Waits for an asynchronous call and prints its answer. Exits 1 unless it succeeded, 5 when it takes longer than `--for`. */
export const waitInvocationCommand = defineCommand({
  name: 'invocations wait',
  summary: 'wait until an asynchronous call has ended, and print its answer',
  args: [{ name: 'id', summary: 'id of the call' }],
  options: [{ flags: '--for <time>', summary: 'at most so long, such as 30s; exits with 5 when it takes longer' }],
  examples: ['ebb invocations wait "$id" --for 5m'],
  async run(context) {
    const { parameters } = context;
    const limit = parameters.text('for');
    const { parseDurationMs } = await import('@ebb/contract');
    const limitMs = limit === undefined ? undefined : parseDurationMs(limit);
    if (limit !== undefined && limitMs === undefined) {
      throw new CliError('USAGE', `"--for" is "${limit}" but must be a duration such as "30s"`);
    }
    const { client } = await context.connect();
    const call = await waitForCall(parameters.required('id'), { client, context, limitMs });
    await showResult(call, client, context);
  },
});
