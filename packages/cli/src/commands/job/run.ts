import { createInterface } from 'node:readline/promises';
import type { JobResource } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';
import { CliError, EXIT, QuietExit } from '../../core/cli-error.ts';
import { type CommandContext, defineCommand } from '../../core/command.ts';
import { onStopSignals } from '../../core/stop-signals.ts';
import type { Target } from '../../deploy/target.ts';
import { JOB_OPTIONS } from '../../jobs/job-options.ts';

/**
 * Runs jobs and shows how they go on until they have ended. Exits 1 when a task failed; with `--stdin` with the exit code
 * of the task. Ctrl-C asks whether to cancel, or cancels where nobody can be asked.
 */
export const runJobCommand = defineCommand({
  name: 'job run',
  summary: 'run an image or a function as many tasks, each to its end',
  args: [{ name: 'what', summary: 'the command for an --image, or a directory with a handler', kind: 'many' }],
  options: [
    { flags: '-f, --file <file>', summary: 'file with "kind: job", or a compose file; default: the one here' },
    ...JOB_OPTIONS,
    { flags: '-d, --detach', summary: 'do not wait for the end' },
    { flags: '--stdin', summary: 'one task, from standard input to standard output' },
  ],
  examples: [
    'ebb job run --image python:3.13-slim --tasks 10 --parallelism 4 -- python -c "print(40 + 2)"',
    'ebb job run --function thumbnail --inputs-file urls.txt --retries 2',
    'ebb job run ./resize --inputs-file photos.txt',
    'ebb job run --image debian:bookworm --stdin -- gzip -9 < in > in.gz',
    'ebb job run -f docker-compose.yml',
  ],
  ownsSignals: true,
  async run(context) {
    const stop = new AbortController();
    const { selectJobs } = await import('../../jobs/select-jobs.ts');
    const selected = await selectJobs(context);
    const { output, parameters } = context;
    for (const warning of selected.warnings) output.warn(warning);
    const { client } = await context.connect();
    const { namespace, jobs, deploy } = selected;
    const interrupted = new CliError('INTERRUPTED', 'interrupted');
    if (parameters.flag('stdin')) {
      const [job] = jobs;
      if (!job || jobs.length > 1) throw new CliError('USAGE', '--stdin is for one job of one task');
      using _ = onStopSignals(
        () => stop.abort(interrupted),
        () => process.exit(EXIT.interrupted),
      );
      const { streamJob } = await import('../../jobs/stream-job.ts');
      const code = await streamJob({ ...context, signal: stop.signal }, client, namespace, job);
      if (code !== EXIT.ok) throw new QuietExit(code);
      return;
    }
    let submitted: readonly JobResource[] = [];
    const asking = { wasAsked: false, isOpen: false };
    using _ = onStopSignals(
      () => void interrupt(context, client, submitted, asking, (reason = interrupted) => stop.abort(reason)),
      () => stop.abort(interrupted),
    );
    if (deploy) {
      const { checkJobs } = await import('../../jobs/words-of-options.ts');
      checkJobs(jobs, parameters);
      await deployFirst({ ...context, signal: stop.signal }, client, deploy);
    }
    submitted = await client.jobs
      .submit(namespace, [...jobs], { signal: stop.signal })
      .catch(async (error: unknown) => {
        const { inWordsOfOptions } = await import('../../jobs/words-of-options.ts');
        throw inWordsOfOptions(error, jobs, parameters);
      });
    if (parameters.flag('detach')) {
      output.result(submitted, () => submitted.map(({ id }) => id).join('\n'));
      return;
    }
    const { followJobs } = await import('../../jobs/follow-jobs.ts');
    const { explainFailures } = await import('../../jobs/explain-failures.ts');
    const ended = await followJobs(submitted, {
      connect: context.connect,
      output,
      stderr: context.stderr,
      signal: stop.signal,
      isPaused: () => asking.isOpen,
    });
    const { client: now } = await context.connect();
    await showOutput(context, now, ended);
    await explainFailures(output, now, ended);
    if (ended.some(({ state }) => state !== 'succeeded')) throw new QuietExit(EXIT.failed);
  },
});

/** On a terminal asks what is to become of the jobs; elsewhere cancels them. They are followed to their end. */
async function interrupt(
  { stdin, stderr, output }: CommandContext,
  client: EbbClient,
  jobs: readonly JobResource[],
  asking: { wasAsked: boolean; isOpen: boolean },
  leave: (reason?: Error) => void,
): Promise<void> {
  if (jobs.length === 0 || asking.wasAsked) {
    leave();
    return;
  }
  asking.wasAsked = true;
  if (stdin.isTTY && stderr.isTTY && !output.mode.json) {
    asking.isOpen = true;
    const question = createInterface({ input: stdin, output: stderr });
    question.on('SIGINT', () => question.close());
    const ids = jobs.map(({ id }) => id).join(', ');
    const answer = await question.question(`\nCancel ${ids}? [y/N] `).catch(() => 'y');
    question.close();
    asking.isOpen = false;
    if (!/^y/i.test(answer.trim())) {
      output.note(`still running; "ebb job show ${jobs[0]?.id ?? ''}" says how far it is`);
      asking.isOpen = true;
      leave(new QuietExit(EXIT.interrupted));
      return;
    }
  }
  // One that has ended meanwhile needs no cancelling.
  await Promise.all(jobs.map(({ namespace, id }) => client.jobs.cancel(namespace, id).catch(() => undefined)));
}

/** What a job of one task wrote is what the person wants to see. */
async function showOutput({ output, stdout }: CommandContext, client: EbbClient, jobs: readonly JobResource[]) {
  const [job] = jobs;
  if (output.mode.json || !job || jobs.length > 1 || job.count !== 1) return;
  const [task] = await client.jobs.tasks(job.namespace, job.id);
  if (!task?.result || task.result.sizeBytes === 0) return;
  const result = await client.jobs.result(job.namespace, job.id, 0);
  for await (const chunk of result.body ?? []) stdout.write(chunk);
}

async function deployFirst(context: CommandContext, client: EbbClient, target: Target): Promise<void> {
  const { createUploadMemory, deployTarget } = await import('../../deploy/deploy-target.ts');
  const { startTask, env, cwd, signal } = context;
  const how = { memory: createUploadMemory(), install: true, probe: true, serve: true };
  await deployTarget(target, { client, startTask, signal, env, cwd, ...how });
}
