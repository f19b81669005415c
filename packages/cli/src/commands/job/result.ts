import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { findJob, taskIndex } from '../../jobs/job-ref.ts';

/** Writes the result of a task to standard output, or those of all tasks into files of a directory. */
export const jobResultCommand = defineCommand({
  name: 'job result',
  summary: 'print what a task wrote or answered, or save the results of all',
  args: [
    { name: 'job', summary: 'id, or name for the newest one' },
    { name: 'task', summary: 'index of the task (default 0)', kind: 'optional' },
  ],
  options: [
    { flags: '-o, --out <dir>', summary: 'write the results of all tasks into this directory, one file a task' },
  ],
  examples: ['ebb job result thumbs 7 > 7.webp', 'ebb job result thumbs --out ./thumbs'],
  async run(context) {
    const { parameters, output, signal, stdout, cwd } = context;
    const index = taskIndex(context, 'task');
    const out = parameters.text('out');
    if (out !== undefined && index !== undefined) throw new CliError('USAGE', 'give either a task or --out, not both');
    const { client, namespace, id, job } = await findJob(context);
    if (out === undefined) {
      const result = await client.jobs.result(namespace, id, index ?? 0, { signal });
      for await (const chunk of result.body ?? []) if (!stdout.write(chunk)) await once(stdout, 'drain');
      return;
    }
    const directory = resolve(cwd, out);
    await mkdir(directory, { recursive: true });
    let written = 0;
    for (let from = 0; from < job.count;) {
      const tasks = await client.jobs.tasks(namespace, id, { from, limit: 1000 }, { signal });
      for (const task of tasks) {
        if (!task.result) continue;
        const { body } = await client.jobs.result(namespace, id, task.index, { signal });
        if (body) await pipeline(Readable.fromWeb(body), createWriteStream(join(directory, String(task.index))));
        written += 1;
      }
      from = (tasks.at(-1)?.index ?? job.count) + 1;
    }
    output.result({ directory, written }, () => `${written} results in ${directory}`);
  },
});
