import { defineCommand } from '../../core/command.ts';
import { formatInvocation } from '../../invocation/format-invocation.ts';

/** Shows how an asynchronous call stands, with every attempt. */
export const showInvocationCommand = defineCommand({
  name: 'invocations show',
  summary: 'show how an asynchronous call stands, with every attempt',
  args: [{ name: 'id', summary: 'id of the call' }],
  examples: ['ebb invocations show 5b9c2c0e-5f6c-4e0a-9a53-0d3f6c1f8a21'],
  async run({ parameters, output, connect, signal }) {
    const { client } = await connect();
    const call = await client.invocations.get(parameters.required('id'), {
      namespace: parameters.text('namespace'),
      signal,
    });
    output.result(call, () => formatInvocation(call, output, Date.now()));
  },
});
