import type { JobResource } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';
import { CliError, EXIT } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';
import { namespaceOf } from '../core/function-ref.ts';

/** A job that a person named, and the client to ask about it with. */
export interface FoundJob {
  readonly client: EbbClient;
  readonly namespace: string;
  readonly id: string;
}

/** The job a person means: by id, or by name the newest one. Throws JOB_NOT_FOUND as the server says it. */
export async function findJob(context: CommandContext): Promise<FoundJob & { readonly job: JobResource }> {
  const text = context.parameters.required('job');
  const namespace = await namespaceOf(context);
  const { client } = await context.connect();
  const { signal } = context;
  try {
    const job = await client.jobs.get(namespace, text, { signal });
    return { client, namespace, id: job.id, job };
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'JOB_NOT_FOUND') throw error;
    const [newest] = await client.jobs.list(namespace, { name: text, limit: 1 }, { signal }).catch(() => []);
    if (newest) return { client, namespace, id: newest.id, job: newest };
    throw error;
  }
}

/** Reads the index of a task. Throws USAGE. */
export function taskIndex(context: CommandContext, name: string): number | undefined {
  const text = context.parameters.text(name);
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new CliError('USAGE', `the task is "${text}" but must be its index, from 0`);
}

/** What a command exits with for a job that has ended so. */
export function exitCodeOf(job: JobResource): number {
  return job.state === 'succeeded' ? EXIT.ok : EXIT.failed;
}
