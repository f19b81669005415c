import type { LogLine } from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { findJob, taskIndex } from '../../jobs/job-ref.ts';
import { escapeControls } from '../../terminal/escape-controls.ts';
import type { Output } from '../../terminal/output.ts';

/** Shows what the tasks of a job wrote, oldest first, and with `--follow` new lines until the job has ended or Ctrl-C. */
export const jobLogsCommand = defineCommand({
  name: 'job logs',
  summary: 'show what the tasks of a job wrote',
  args: [{ name: 'job', summary: 'id, or name for the newest one' }],
  options: [
    { flags: '-t, --task <index>', summary: 'only lines of one task' },
    { flags: '-f, --follow', summary: 'go on showing new lines until the job has ended' },
    { flags: '--tail <lines>', summary: 'at most this many stored lines (default 200)' },
  ],
  examples: ['ebb job logs thumbs --task 403', 'ebb job logs thumbs --follow'],
  async run(context) {
    const { parameters, output } = context;
    const task = taskIndex(context, 'task');
    const tail = parameters.count('tail', 0);
    const { client, namespace, id, job } = await findJob(context);
    const follow = parameters.flag('follow') && job.endedAt === undefined;
    const over = new AbortController();
    const signal = AbortSignal.any([context.signal, over.signal]);
    const query = {
      ...(task !== undefined && { task }),
      ...(tail !== undefined && { tail }),
      ...(follow && { follow }),
    };
    if (follow) {
      void (async () => {
        for await (const now of client.jobs.watch(namespace, id, { signal })) {
          // The last lines come shortly after the end.
          if (now.endedAt !== undefined) setTimeout(() => over.abort(), 500);
        }
      })().catch(() => {});
    }
    if (output.mode.json && !follow) {
      output.result(await Array.fromAsync(client.jobs.logs(namespace, id, query, { signal })), () => undefined);
      return;
    }
    let isEmpty = true;
    try {
      for await (const line of client.jobs.logs(namespace, id, query, { signal })) {
        isEmpty = false;
        output.resultLine(line, () => formatLine(line, output));
      }
    } catch (error) {
      // Ctrl-C and the end of the job are the ordinary ways to end following.
      if (!(follow && signal.aborted)) throw error;
    }
    const called = job.spec.function?.replace(/[:@].*$/, '');
    if (isEmpty && called !== undefined) {
      output.note(
        `what the calls of a job wrote is with their function: "ebb logs ${called} --call ${id}.${task ?? 0}"`,
      );
    }
  },
});

function formatLine({ at, callId = '', source, text }: LogLine, output: Output): string {
  const task = callId.slice(callId.lastIndexOf('.') + 1);
  const shown = output.isTerminal ? escapeControls(text) : text;
  const mark = source === 'stdout' ? ' ' : source === 'stderr' ? '!' : '*';
  return `${output.style('dim', at)} ${output.style('dim', `#${task}`)} ${mark} ${source === 'platform' ? output.style('yellow', shown) : shown}`;
}
