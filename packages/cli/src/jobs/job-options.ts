import type { JobSpecInput } from '@ebb/contract';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext, OptionDefinition } from '../core/command.ts';
import { parsePairs } from '../core/parameters.ts';

/** Options of `job run` that say something about the job. */
export const JOB_OPTIONS: readonly OptionDefinition[] = [
  { flags: '--name <name>', summary: 'what the job is called' },
  { flags: '--image <image>', summary: 'container image whose command is run for each task' },
  { flags: '--function <name>', summary: 'function that is called for each task' },
  { flags: '-t, --tasks <count>', summary: 'how many tasks' },
  { flags: '-i, --input <text>', summary: 'input of one task', repeats: true },
  { flags: '--inputs-file <file>', summary: 'file with the input of one task in each line; - for standard input' },
  { flags: '-p, --parallelism <count>', summary: 'most tasks at once' },
  { flags: '-r, --retries <count>', summary: 'further attempts of a task that fails' },
  { flags: '--timeout <duration>', summary: 'longest time of one attempt, such as 10m' },
  { flags: '--deadline <duration>', summary: 'longest time of the whole job, such as 6h' },
  { flags: '--memory <size>', summary: 'memory of a task, such as 256Mi' },
  { flags: '--cpu <cores>', summary: 'cores of a task, such as 0.5' },
  { flags: '--env <pair>', summary: 'an environment variable as NAME=VALUE', repeats: true },
  { flags: '--secret <name>', summary: 'a secret to mount', repeats: true },
  { flags: '--network <network>', summary: 'egress or none' },
  { flags: '--cleanup <policy>', summary: 'when containers are removed: always, on-success or never' },
  { flags: '--after <job>', summary: 'a job that must have succeeded first', repeats: true },
  { flags: '--label <pair>', summary: 'a label as NAME=VALUE', repeats: true },
];

/** What the options say, over what a file says. Throws USAGE, FILE_FAILED. */
export async function specFromOptions(context: CommandContext): Promise<JobSpecInput> {
  const { parameters } = context;
  const inputs = await inputsOf(context);
  const env = parsePairs(parameters.list('env'), '--env');
  const labels = parsePairs(parameters.list('label'), '--label');
  const secrets = parameters.list('secret');
  const after = parameters.list('after');
  const written: Record<string, unknown> = {
    image: parameters.text('image'),
    function: parameters.text('function'),
    tasks: parameters.count('tasks', 1),
    parallelism: parameters.count('parallelism', 1),
    retries: parameters.count('retries', 0),
    timeout: parameters.text('timeout'),
    deadline: parameters.text('deadline'),
    memory: parameters.text('memory'),
    cpu: parameters.text('cpu'),
    network: parameters.text('network'),
    cleanup: parameters.text('cleanup'),
    inputs,
    ...(Object.keys(env).length > 0 && { env }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(secrets.length > 0 && { secrets }),
    ...(after.length > 0 && { after }),
  };
  return Object.fromEntries(Object.entries(written).filter(([, value]) => value !== undefined));
}

async function inputsOf({ parameters, cwd, stdin }: CommandContext): Promise<readonly string[] | undefined> {
  const given = parameters.list('input');
  const file = parameters.text('inputsFile');
  if (file === undefined) return given.length > 0 ? given : undefined;
  if (given.length > 0) throw new CliError('USAGE', 'give either --input or --inputs-file, not both');
  const text = file === '-' ? await readAll(stdin) : await readText(file, cwd);
  const lines = text.split(/\r?\n/);
  // A line feed at the end ends the last line and begins none.
  if (lines.at(-1) === '') lines.pop();
  if (lines.length === 0) throw new CliError('INPUT_INVALID', `the file of --inputs-file ${file} has no line`);
  return lines;
}

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function readText(file: string, cwd: string): Promise<string> {
  const [{ readFile }, { resolve }] = await Promise.all([import('node:fs/promises'), import('node:path')]);
  try {
    return await readFile(resolve(cwd, file), 'utf8');
  } catch (cause) {
    throw new CliError('FILE_FAILED', `the file ${file} cannot be read`, { cause });
  }
}
