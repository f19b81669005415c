import {
  formatBytes,
  formatDuration,
  KEEP_ALIVES,
  type KeepAlive,
  parseDurationMs,
  parseSizeBytes,
} from '@ebb/contract';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import type { Parameters } from '../../core/parameters.ts';
import { formatTable } from '../../terminal/table.ts';

const GIB = 2 ** 30;

/** Replays a trace of calls against the server's own keep-alive policies; needs no server. */
export const simulateCommand = defineCommand({
  name: 'server simulate',
  aliases: ['simulate'],
  summary: 'replay a trace of calls and compare how idle instances could be kept',
  args: [{ name: 'trace', summary: 'CSV file with the columns time, function, duration and memory' }],
  options: [
    { flags: '--policy <name>', summary: `one of ${KEEP_ALIVES.join(', ')} (default: all)`, repeats: true },
    { flags: '--idle <duration>', summary: 'how long "fixed" keeps an instance (default 5m)' },
    { flags: '--start <duration>', summary: 'how long an instance takes to start (default 250ms)' },
    { flags: '--memory-budget <size>', summary: 'most memory of all instances together (default: no bound)' },
  ],
  examples: ['ebb simulate calls.csv', 'ebb simulate calls.csv --memory-budget 4Gi --idle 10m --policy auto'],
  async run({ parameters, output, cwd, startTask }) {
    const policies = policiesOf(parameters);
    const idleMs = quantity(parameters, 'idle', '5m', parseDurationMs, 'a duration such as 5m');
    const startMs = quantity(parameters, 'start', '250ms', parseDurationMs, 'a duration such as 250ms');
    const memoryBudgetBytes =
      parameters.text('memoryBudget') === undefined
        ? undefined
        : quantity(parameters, 'memoryBudget', '', parseSizeBytes, 'a size such as 4Gi');
    const file = path.resolve(cwd, parameters.required('trace'));
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new CliError('FILE_FAILED', `the trace "${file}" cannot be read; name a CSV file`, { cause });
    });
    const { parseTrace, simulateTrace } = await import('@ebb/server');
    const task = await startTask('replaying the trace');
    const calls = readTrace(() => parseTrace(text), file);
    const results = policies.map((keepAlive) =>
      simulateTrace(calls, { keepAlive, idleMs, startMs, memoryBudgetBytes }),
    );
    task.done();
    const functions = new Set(calls.map(({ name }) => name)).size;
    output.result({ calls: calls.length, functions, idleMs, startMs, memoryBudgetBytes, results }, () => {
      const budget =
        memoryBudgetBytes === undefined ? 'no memory budget' : `${formatBytes(memoryBudgetBytes)} of memory`;
      const title = `${calls.length} calls of ${functions} functions; idle ${formatDuration(idleMs)}, start ${formatDuration(startMs)}, ${budget}`;
      const table = formatTable(results, [
        { title: 'policy', value: ({ keepAlive }) => keepAlive },
        { title: 'cold', value: ({ coldShare }) => `${(coldShare * 100).toFixed(2)} %`, align: 'right' },
        { title: 'GiB s', value: (result) => (result.memoryByteSeconds / GIB).toFixed(0), align: 'right' },
        { title: 'of it idle', value: (result) => percent(result), align: 'right' },
        { title: 'p99 slowdown', value: ({ slowdownP99 }) => slowdownP99.toFixed(2), align: 'right' },
        { title: 'prewarmed', value: ({ prewarms }) => prewarms, align: 'right' },
        { title: 'evicted', value: ({ evictions }) => evictions, align: 'right' },
        { title: 'refused', value: ({ refusedCalls }) => refusedCalls, align: 'right' },
      ]);
      return `${title}\n\n${table}`;
    });
    if (memoryBudgetBytes === undefined && policies.includes('greedy-dual')) {
      output.note('without --memory-budget nothing has to make room, so "greedy-dual" keeps instances as "fixed" does');
    }
  },
});

function policiesOf(parameters: Parameters): readonly KeepAlive[] {
  const asked = parameters.list('policy');
  const unknown = asked.find((name) => !KEEP_ALIVES.some((known) => known === name));
  if (unknown !== undefined) {
    throw new CliError('USAGE', `"--policy" is "${unknown}" but must be one of ${KEEP_ALIVES.join(', ')}`);
  }
  return asked.length === 0 ? KEEP_ALIVES : KEEP_ALIVES.filter((name) => asked.includes(name));
}

function quantity(
  parameters: Parameters,
  name: string,
  fallback: string,
  parse: (text: string) => number | undefined,
  allowed: string,
): number {
  const text = parameters.text(name) ?? fallback;
  const value = parse(text);
  if (value !== undefined && value > 0) return value;
  const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new CliError('USAGE', `"--${flag}" is "${text}" but must be ${allowed}`);
}

/** What is wrong with a trace is the caller's to mend, not the platform's failure. */
function readTrace<T>(read: () => T, file: string): T {
  try {
    return read();
  } catch (cause) {
    throw new CliError('INPUT_INVALID', `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

function percent(result: { readonly idleByteSeconds: number; readonly memoryByteSeconds: number }): string {
  return `${((100 * result.idleByteSeconds) / Math.max(1, result.memoryByteSeconds)).toFixed(0)} %`;
}
