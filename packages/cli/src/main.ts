import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { COMMANDS } from './commands/commands.ts';
import { CliError, EXIT, QuietExit } from './core/cli-error.ts';
import type { CommandContext, CommandDefinition } from './core/command.ts';
import { createConnector } from './core/connect.ts';
import { createParameters } from './core/parameters.ts';
import { addLoadedOptions, createProgram } from './core/program.ts';
import { reportError } from './core/report-error.ts';
import { onStopSignals } from './core/stop-signals.ts';
import { createOutput, type OutputMode } from './terminal/output.ts';
import { createProgress } from './terminal/progress.ts';

/** Runs `ebb` with the arguments of this process and leaves its exit code behind. */
export async function main(): Promise<void> {
  process.stdout.on('error', endQuietlyWhenNobodyReads);
  const exitCode = await runMain(process.argv.slice(2));
  process.exitCode = exitCode;
}

async function runMain(words: readonly string[]): Promise<number> {
  const env = process.env;
  const version = readVersion();
  let selected: { definition: CommandDefinition; values: Readonly<Record<string, unknown>> } | undefined;
  const program = createProgram(COMMANDS, version, (definition, values) => {
    selected = { definition, values };
  });
  const early = createOutput(process.stdout, process.stderr, {
    json: words.includes('--json'),
    quiet: false,
    color: wantsColor(true),
  });
  try {
    const lazy = COMMANDS.find((command) => command.loadOptions && isAskedFor(command, words));
    if (lazy?.loadOptions) addLoadedOptions(program, lazy, await lazy.loadOptions());
    if (early.mode.json) silence(program);
    program.parse(words, { from: 'user' });
    if (!selected) throw new CliError('USAGE', 'no command was given; "ebb --help" lists them');
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(error, early, env);
    if (error.exitCode === 0) return EXIT.ok;
    if (!early.mode.json) return EXIT.usage;
    // A noun alone; on a terminal its help was shown.
    const message =
      error.code === 'commander.help'
        ? 'no command was given; the same with "--help" lists them'
        : error.message.replace(/^error: /, '').replaceAll('\n', ' ');
    return reportError(new CliError('USAGE', message), early, env);
  }
  return runCommand(selected.definition, selected.values, version);
}

async function runCommand(
  definition: CommandDefinition,
  values: Readonly<Record<string, unknown>>,
  version: string,
): Promise<number> {
  const { env, stdin, stdout, stderr } = process;
  const cwd = process.cwd();
  const mode: OutputMode = {
    json: values['json'] === true,
    quiet: values['quiet'] === true,
    color: wantsColor(values['color'] !== false),
  };
  const output = createOutput(stdout, stderr, mode);
  const startTask = createProgress(output, stderr);
  const stop = new AbortController();
  using _ =
    definition.ownsSignals === true
      ? undefined
      : onStopSignals(
          () => stop.abort(new CliError('INTERRUPTED', 'interrupted')),
          () => process.exit(EXIT.interrupted),
        );
  const parameters = createParameters(values);
  const connector = createConnector({ parameters, env, cwd });
  const context: CommandContext = {
    parameters,
    output,
    startTask,
    env,
    cwd,
    version,
    stdin,
    stdout,
    stderr,
    signal: stop.signal,
    connect: connector.connect,
    report: (error) => void reportError(connector.explain(error), output, env),
  };
  try {
    await definition.run(context);
    return EXIT.ok;
  } catch (error) {
    if (error instanceof QuietExit) return error.exitCode;
    if (stop.signal.aborted) return EXIT.interrupted;
    return reportError(connector.explain(error), output, env);
  }
}

function isAskedFor(command: CommandDefinition, words: readonly string[]): boolean {
  const plain = words.filter((word) => !word.startsWith('-')).join(' ');
  return [command.name, ...(command.aliases ?? [])].some((path) => `${plain} `.includes(`${path} `));
}

function silence(program: ReturnType<typeof createProgram>): void {
  const quiet = { writeErr: () => {} };
  program.configureOutput(quiet);
  for (const command of program.commands) {
    command.configureOutput(quiet);
    for (const child of command.commands) child.configureOutput(quiet);
  }
}

function wantsColor(isAllowed: boolean): boolean {
  if (!isAllowed || process.env['NO_COLOR']) return false;
  if (process.env['FORCE_COLOR']) return process.env['FORCE_COLOR'] !== '0';
  return process.stdout.isTTY && process.stderr.isTTY && process.env['TERM'] !== 'dumb';
}

function endQuietlyWhenNobodyReads(error: Error): void {
  if ('code' in error && error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : '0.0.0';
}
