import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { showResult } from '../../invocation/show-result.ts';

/** Prints the answer that was kept of an asynchronous call. Exits 1 unless the call succeeded. */
export const resultInvocationCommand = defineCommand({
  name: 'invocations result',
  summary: 'print the answer of an asynchronous call',
  args: [{ name: 'id', summary: 'id of the call' }],
  examples: ['ebb invocations result "$id" > answer.json'],
  async run(context) {
    const { parameters, signal } = context;
    const id = parameters.required('id');
    const { client } = await context.connect();
    const call = await client.invocations.get(id, { namespace: parameters.text('namespace'), signal });
    if (!call.result && call.endedAt === undefined) {
      throw new CliError(
        'INPUT_INVALID',
        `the call is ${call.state} and has no answer yet; "ebb invocations wait ${id}" waits for it`,
      );
    }
    await showResult(call, client, context);
  },
});
