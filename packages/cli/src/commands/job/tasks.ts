import { JOB_STATES, type TaskResource } from '@ebb/contract';
import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { formatOutcome, formatTook } from '../../jobs/format-job.ts';
import { findJob } from '../../jobs/job-ref.ts';
import { escapeControls } from '../../terminal/escape-controls.ts';
import { formatTable } from '../../terminal/table.ts';

/** Shows the tasks of a job with how each ended. */
export const listTasksCommand = defineCommand({
  name: 'job tasks',
  summary: 'show the tasks of a job and how they ended',
  args: [{ name: 'job', summary: 'id, or name for the newest one' }],
  options: [
    { flags: '--state <state>', summary: 'only those in this state, such as failed' },
    { flags: '--from <index>', summary: 'begin at this one' },
    { flags: '--limit <count>', summary: 'at most so many (default 100)' },
  ],
  examples: ['ebb job tasks thumbs --state failed', 'ebb job tasks thumbs --from 500 --limit 10'],
  async run(context) {
    const { parameters, output, signal } = context;
    const wanted = parameters.text('state');
    const state = JOB_STATES.find((one) => one === wanted);
    if (wanted !== undefined && !state) {
      throw new CliError('USAGE', `"--state" is "${wanted}" but must be one of ${JOB_STATES.join(', ')}`);
    }
    const from = parameters.count('from', 0);
    const limit = parameters.count('limit', 1) ?? 100;
    const { client, namespace, id, job } = await findJob(context);
    const query = { ...(state && { state }), ...(from !== undefined && { from }), limit };
    const tasks = await client.jobs.tasks(namespace, id, query, { signal });
    if (tasks.length === 0) output.note(`no tasks of ${id}${state ? ` are ${state}` : ' from there on'}`);
    output.result(tasks, () =>
      tasks.length === 0
        ? undefined
        : formatTable<TaskResource>(tasks, [
            { title: 'task', value: ({ index }) => index, align: 'right' },
            { title: 'state', value: (task) => task.state },
            { title: 'attempts', value: ({ attempt }) => attempt, align: 'right' },
            { title: 'took', value: (task) => formatTook(task, Date.now()), align: 'right' },
            { title: 'result', value: ({ result }) => (result ? `${result.sizeBytes} B` : ''), align: 'right' },
            { title: 'outcome', value: (task) => escapeControls(formatOutcome(task)) },
          ]),
    );
    const last = tasks.at(-1);
    if (tasks.length === limit && last && last.index + 1 < job.count) {
      output.note(`there may be more: --from ${last.index + 1}`);
    }
  },
});
