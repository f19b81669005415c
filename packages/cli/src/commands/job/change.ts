import { defineCommand } from '../../core/command.ts';
import { formatEnd } from '../../jobs/format-job.ts';
import { findJob } from '../../jobs/job-ref.ts';

/** Ends a job: what runs is stopped, what waits never begins. */
export const cancelJobCommand = defineCommand({
  name: 'job cancel',
  summary: 'stop the tasks of a job and begin no more',
  args: [{ name: 'job', summary: 'id, or name for the newest one' }],
  examples: ['ebb job cancel thumbs'],
  async run(context) {
    const { client, namespace, id } = await findJob(context);
    const job = await client.jobs.cancel(namespace, id, { signal: context.signal });
    context.output.result(job, () =>
      job.endedAt === undefined
        ? `${id} is being cancelled: ${job.tasks.running} tasks are stopped`
        : formatEnd(job, context.output),
    );
  },
});

/** Forgets a job that has ended. */
export const removeJobCommand = defineCommand({
  name: 'job remove',
  aliases: ['job rm'],
  summary: 'forget a job that has ended, with its results and logs',
  args: [{ name: 'job', summary: 'id, or name for the newest one' }],
  examples: ['ebb job remove thumbs-a6658099'],
  async run(context) {
    const { client, namespace, id } = await findJob(context);
    await client.jobs.remove(namespace, id, { signal: context.signal });
    context.output.result({ removed: id }, () => `removed job ${id}`);
  },
});
