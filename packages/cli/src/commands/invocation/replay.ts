import { defineCommand } from '../../core/command.ts';
import { showResult, waitForCall } from '../../invocation/show-result.ts';

/** Makes an asynchronous call anew with the payload it had. */
export const replayInvocationCommand = defineCommand({
  name: 'invocations replay',
  summary: 'make an asynchronous call anew with the same payload, whatever became of it',
  args: [{ name: 'id', summary: 'id of the call' }],
  options: [
    { flags: '--function <name>', summary: 'another function, alias or version: NAME, NAME:ALIAS, NAME@VERSION' },
    { flags: '--wait', summary: 'wait until it has ended and print its answer' },
  ],
  examples: ['ebb invocations replay "$id"', 'ebb invocations replay "$id" --function thumbnail:beta --wait'],
  async run(context) {
    const { parameters, output, signal } = context;
    const { client } = await context.connect();
    const target = parameters.text('function');
    const replayed = await client.invocations.replay(
      parameters.required('id'),
      target === undefined ? {} : { function: target },
      { namespace: parameters.text('namespace'), signal },
    );
    if (!parameters.flag('wait')) {
      output.result(replayed, () => replayed.id);
      return;
    }
    await showResult(await waitForCall(replayed.id, { client, context }), client, context);
  },
});
