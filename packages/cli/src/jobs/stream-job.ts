import { once } from 'node:events';
import type { JobSpecInput } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';
import { EXIT } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';
import { formatEnd } from './format-job.ts';

/**
 * Runs a job of one task with standard input and output of this process, and returns the exit code of the task. Ctrl-C
 * ends the connection, which cancels the job.
 */
export async function streamJob(
  { stdin, stdout, stderr, output, signal }: Pick<CommandContext, 'stdin' | 'stdout' | 'stderr' | 'output' | 'signal'>,
  client: EbbClient,
  namespace: string,
  job: { readonly name?: string; readonly spec: JobSpecInput },
): Promise<number> {
  for await (const piece of client.jobs.stream(namespace, job, stdin, { signal })) {
    if (piece.kind === 'end') {
      const { task } = piece;
      // What it wrote itself says more, unless the platform ended it.
      if (task.state !== 'succeeded') output.note(formatEnd(piece.job, output));
      if (task.state !== 'succeeded' && task.message !== undefined) output.note(`  ${task.message}`);
      if (task.state === 'succeeded') return EXIT.ok;
      return task.exitCode !== undefined && task.exitCode !== 0 ? task.exitCode : EXIT.failed;
    }
    const sink = piece.kind === 'output' ? stdout : stderr;
    if (!sink.write(piece.bytes)) await once(sink, 'drain', { signal });
  }
  return EXIT.failed;
}
