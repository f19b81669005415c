import type { LogLine } from '@ebb/contract';
import { type CommandContext, defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { momentOf } from '../../core/moment.ts';
import type { Output } from '../../terminal/output.ts';
import { escapeControls } from '../../terminal/escape-controls.ts';

const SHOWN_INSTANCE_LENGTH = 12;

/** Shows stored log lines, oldest first, and with `--follow` new ones until Ctrl-C. */
export const logsCommand = defineCommand({
  name: 'function logs',
  aliases: ['logs'],
  summary: 'show what a function wrote',
  args: [{ name: 'function', summary: 'NAME or NAME.NAMESPACE' }],
  options: [
    { flags: '-f, --follow', summary: 'go on showing new lines until Ctrl-C' },
    { flags: '--tail <lines>', summary: 'at most this many stored lines (default 200)' },
    { flags: '--since <time>', summary: 'only lines since a moment, or so long ago: 10m, 2026-05-01T10:00:00Z' },
    { flags: '--instance <id>', summary: 'only lines of one instance' },
    { flags: '--call <id>', summary: 'only lines of one call, by its X-Call-Id' },
  ],
  examples: ['ebb logs hello', 'ebb logs hello --follow --since 10m'],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const follow = parameters.flag('follow');
    const query = await queryOf(context, follow);
    const { client } = await context.connect();
    const lines = client.functions.logs(ref, query, { signal });
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

async function queryOf(context: CommandContext, follow: boolean) {
  const { parameters } = context;
  const tail = parameters.count('tail', 0);
  const since = parameters.text('since');
  const instance = parameters.text('instance');
  const callId = parameters.text('call');
  return {
    ...(follow ? { follow } : {}),
    ...(tail === undefined ? {} : { tail }),
    ...(since === undefined ? {} : { since: await momentOf(since, '--since') }),
    ...(instance === undefined ? {} : { instance }),
    ...(callId === undefined ? {} : { callId }),
  };
}

/** A line of a log for people. */
export function formatLine(line: LogLine, output: Output): string {
  const at = output.style('dim', line.at);
  const instance = output.style('dim', line.instance.slice(-SHOWN_INSTANCE_LENGTH));
  const text = output.isTerminal ? escapeControls(line.text) : line.text;
  const mark = line.source === 'stdout' ? ' ' : line.source === 'stderr' ? '!' : '*';
  return `${at} ${instance} ${mark} ${line.source === 'platform' ? output.style('yellow', text) : text}`;
}
