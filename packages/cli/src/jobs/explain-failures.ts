import type { JobResource } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';
import { escapeControls } from '../terminal/escape-controls.ts';
import type { Output } from '../terminal/output.ts';

const SHOWN = 3;

/** Says why the first tasks of jobs failed, and which command shows what they wrote or answered. */
export async function explainFailures(output: Output, client: EbbClient, jobs: readonly JobResource[]): Promise<void> {
  if (output.mode.json) return;
  for (const job of jobs) {
    if (job.tasks.failed === 0) continue;
    const failed = await client.jobs.tasks(job.namespace, job.id, { state: 'failed', limit: SHOWN });
    for (const { index, message = '' } of failed) output.note(`  task ${index}: ${escapeControls(message)}`);
    const more = job.tasks.failed - failed.length;
    if (more > 0) output.note(`  and ${more} more; "ebb job tasks ${job.id} --state failed" shows them`);
    // What a function writes is in its own log; what it answered is the task's result.
    const isAnswer = job.spec.function !== undefined && failed[0]?.result !== undefined;
    output.note(
      isAnswer
        ? `  "ebb job result ${job.id} ${failed[0]?.index ?? 0}" shows what was answered`
        : `  "ebb job logs ${job.id}" shows what they wrote`,
    );
  }
}
