import { QuietExit } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { doneOf, formatState, formatTook } from '../../jobs/format-job.ts';
import { exitCodeOf, findJob } from '../../jobs/job-ref.ts';
import { joinCommand } from '../../jobs/split-command.ts';
import { escapeControls } from '../../terminal/escape-controls.ts';
import { formatFields } from '../../terminal/table.ts';

/** Shows how a job stands; with `--wait` goes on until it has ended and exits 1 when it did not succeed. */
export const showJobCommand = defineCommand({
  name: 'job show',
  summary: 'show how a job stands',
  args: [{ name: 'job', summary: 'id, or name for the newest one' }],
  options: [{ flags: '-w, --wait', summary: 'go on until it has ended; exits with 1 when it did not succeed' }],
  examples: ['ebb job show thumbs', 'ebb job show thumbs-a6658099 --wait'],
  async run(context) {
    const { parameters, output, signal } = context;
    const { client, job } = await findJob(context);
    if (parameters.flag('wait')) {
      const { followJobs } = await import('../../jobs/follow-jobs.ts');
      const [ended = job] = await followJobs([job], {
        connect: context.connect,
        output,
        stderr: context.stderr,
        signal,
      });
      const { explainFailures } = await import('../../jobs/explain-failures.ts');
      await explainFailures(output, client, [ended]);
      const code = exitCodeOf(ended);
      if (code !== 0) throw new QuietExit(code);
      return;
    }
    const { tasks, spec } = job;
    const counts = Object.entries(tasks)
      .filter(([, count]) => count > 0)
      .map(([state, count]) => `${count} ${state}`);
    output.result(job, () =>
      formatFields([
        ['Job', job.id],
        ['Runs', spec.image ?? `function ${spec.function ?? ''}`],
        ['Command', spec.command && escapeControls(joinCommand(spec.command))],
        ['State', formatState(job.state, output)],
        ['Why', job.reason],
        ['Tasks', `${doneOf(job)} of ${job.count} done: ${counts.join(', ')}`],
        ['Lost', job.lost > 0 ? `${job.lost} attempts, by fault of the platform` : undefined],
        ['After', spec.after.join(', ')],
        ['Re-run of', job.rerunOf],
        ['Submitted', formatAge(job.createdAt, Date.now())],
        ['Took', formatTook(job, Date.now())],
      ]),
    );
  },
});
