import { JOB_STATES, type JobResource } from '@ebb/contract';
import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { namespaceOf } from '../../core/function-ref.ts';
import { doneOf, formatTook } from '../../jobs/format-job.ts';
import { formatTable } from '../../terminal/table.ts';

/** Shows the jobs of a namespace, newest first. */
export const listJobsCommand = defineCommand({
  name: 'job list',
  aliases: ['job ls'],
  summary: 'show the jobs, newest first',
  options: [
    { flags: '--state <state>', summary: 'only those in this state' },
    { flags: '--name <name>', summary: 'only those of this name' },
    { flags: '--limit <count>', summary: 'at most so many (default 100)' },
  ],
  examples: ['ebb job list', 'ebb job list --state running'],
  async run(context) {
    const { parameters, output, signal } = context;
    const namespace = await namespaceOf(context);
    const wanted = parameters.text('state');
    const state = JOB_STATES.find((one) => one === wanted);
    if (wanted !== undefined && !state) {
      throw new CliError('USAGE', `"--state" is "${wanted}" but must be one of ${JOB_STATES.join(', ')}`);
    }
    const name = parameters.text('name');
    const limit = parameters.count('limit', 1);
    const { client } = await context.connect();
    const query = { ...(state && { state }), ...(name && { name }), ...(limit && { limit }) };
    const jobs = await client.jobs.list(namespace, query, { signal });
    if (jobs.length === 0) output.note(`no jobs in ${namespace}; "ebb job run" makes one`);
    output.result(jobs, () =>
      jobs.length === 0
        ? undefined
        : formatTable<JobResource>(jobs, [
            { title: 'job', value: ({ id }) => id },
            { title: 'runs', value: ({ spec }) => spec.image ?? spec.function ?? '' },
            { title: 'state', value: (job) => job.state },
            { title: 'done', value: (job) => `${doneOf(job)}/${job.count}`, align: 'right' },
            { title: 'failed', value: ({ tasks }) => tasks.failed, align: 'right' },
            { title: 'took', value: (job) => formatTook(job, Date.now()), align: 'right' },
            { title: 'submitted', value: (job) => formatAge(job.createdAt, Date.now()) },
          ]),
    );
  },
});
