import { defineCommand } from '../../core/command.ts';
import { formatLine } from '../function/logs.ts';

/** Shows what a function wrote during an asynchronous call, oldest first. */
export const logsInvocationCommand = defineCommand({
  name: 'invocations logs',
  summary: 'show what a function wrote during an asynchronous call, in all its attempts',
  args: [{ name: 'id', summary: 'id of the call' }],
  options: [
    { flags: '-f, --follow', summary: 'go on showing new lines until Ctrl-C' },
    { flags: '--tail <lines>', summary: 'at most this many stored lines (default 200)' },
  ],
  examples: ['ebb invocations logs "$id"', 'ebb invocations logs "$id" --follow'],
  async run(context) {
    const { parameters, output, signal } = context;
    const follow = parameters.flag('follow');
    const tail = parameters.count('tail', 0);
    const { client } = await context.connect();
    const lines = client.invocations.logs(
      parameters.required('id'),
      { ...(follow ? { follow } : {}), ...(tail === undefined ? {} : { tail }) },
      { namespace: parameters.text('namespace'), signal },
    );
    if (output.mode.json && !follow) {
      output.result(await Array.fromAsync(lines), () => undefined);
      return;
    }
    try {
      for await (const line of lines) output.resultLine(line, () => formatLine(line, output));
    } catch (error) {
      // Ctrl-C is the ordinary way to end following.
      if (!(follow && signal.aborted)) throw error;
    }
  },
});
