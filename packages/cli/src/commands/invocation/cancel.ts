import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';

/** Cancels asynchronous calls one after the other; the first that fails ends the command. */
export const cancelInvocationsCommand = defineCommand({
  name: 'invocations cancel',
  summary: 'cancel asynchronous calls; one that runs is aborted and its instance told',
  args: [{ name: 'ids', summary: 'ids of the calls', kind: 'many' }],
  examples: ['ebb invocations cancel "$id"'],
  async run({ parameters, output, connect, signal }) {
    const ids = parameters.list('ids');
    if (ids.length === 0) throw new CliError('USAGE', 'name the call to cancel: "ebb invocations cancel ID"');
    const { client } = await connect();
    const cancelled = [];
    for (const id of ids) {
      const call = await client.invocations.cancel(id, { namespace: parameters.text('namespace'), signal });
      output.note(`${id} is ${call.state}`);
      cancelled.push(call);
    }
    output.result(cancelled, () => undefined);
  },
});
