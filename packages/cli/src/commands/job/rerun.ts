import { QuietExit } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { exitCodeOf, findJob } from '../../jobs/job-ref.ts';

/** Runs a job that has ended again, as a new one. Exits 1 when it did not succeed. */
export const rerunJobCommand = defineCommand({
  name: 'job rerun',
  summary: 'run a job again, or only those of its tasks that did not succeed',
  args: [{ name: 'job', summary: 'id, or name for the newest one' }],
  options: [
    { flags: '--failed', summary: 'keep the results of the tasks that succeeded' },
    { flags: '-d, --detach', summary: 'do not wait for the end' },
  ],
  examples: ['ebb job rerun thumbs --failed'],
  async run(context) {
    const { parameters, output, signal } = context;
    const { client, namespace, id } = await findJob(context);
    const failed = parameters.flag('failed');
    const job = await client.jobs.rerun(namespace, id, { signal, ...(failed && { failed }) });
    if (parameters.flag('detach')) {
      output.result(job, () => job.id);
      return;
    }
    const { followJobs } = await import('../../jobs/follow-jobs.ts');
    const [ended = job] = await followJobs([job], { connect: context.connect, output, stderr: context.stderr, signal });
    const { explainFailures } = await import('../../jobs/explain-failures.ts');
    await explainFailures(output, client, [ended]);
    const code = exitCodeOf(ended);
    if (code !== 0) throw new QuietExit(code);
  },
});
