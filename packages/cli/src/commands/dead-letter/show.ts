import { defineCommand } from '../../core/command.ts';
import { formatInvocation } from '../../invocation/format-invocation.ts';

/** Shows why a call was given up, with every attempt. */
export const showDeadLetterCommand = defineCommand({
  name: 'dead-letters show',
  summary: 'show why an asynchronous call was given up, with every attempt',
  args: [{ name: 'id', summary: 'id of the call' }],
  examples: ['ebb dead-letters show "$id"', 'ebb dead-letters show "$id" --json'],
  async run({ parameters, output, connect, signal }) {
    const { client } = await connect();
    const call = await client.deadLetters.get(parameters.required('id'), {
      namespace: parameters.text('namespace'),
      signal,
    });
    output.result(call, () => formatInvocation(call, output, Date.now()));
  },
});
