import type { RunningServer } from '@ebb/server';
import { CliError, EXIT } from '../../core/cli-error.ts';
import { type CommandContext, defineCommand, type OptionDefinition } from '../../core/command.ts';
import { onHangUp } from '../../up/on-hang-up.ts';
import { onStopSignals } from '../../core/stop-signals.ts';

/** Flags every command has anyway. */
const GLOBAL_SETTINGS = new Set(['dataDir']);

/** Runs a server in this process until SIGINT or SIGTERM, then drains it and exits 0. */
export const upCommand = defineCommand({
  name: 'server up',
  aliases: ['server start', 'up'],
  summary: 'start a server here; Ctrl-C drains and stops it, SIGHUP has it read its settings again',
  options: [
    {
      flags: '--takeover',
      summary: 'replace the server that runs on the data directory, if one does, without losing a request',
    },
    { flags: '--samples', summary: 'deploy the samples if there are no functions yet' },
    { flags: '--config <file>', summary: 'settings file (EBB_CONFIG)' },
  ],
  loadOptions: settingOptions,
  examples: ['ebb up', 'ebb up --listen 127.0.0.1:0 --engine process', 'EBB_DATA_DIR=/var/lib/ebb ebb up'],
  ownsSignals: true,
  async run(context) {
    const { startTask, env, version } = context;
    const stopping = Promise.withResolvers<void>();
    const stop = new AbortController();
    using _ = onStopSignals(
      () => {
        stop.abort(new CliError('INTERRUPTED', 'interrupted'));
        stopping.resolve();
      },
      () => process.exit(EXIT.interrupted),
    );
    const [{ startServer }, { announceServer }] = await Promise.all([
      import('@ebb/server'),
      import('../../up/announce-server.ts'),
    ]);
    const task = await startTask('starting the server');
    const flags = await flagsOf(context);
    const server = await startServer({
      flags,
      env,
      version,
      takeover: context.parameters.flag('takeover'),
      ...(context.stderr.isTTY ? { defaultLogLevel: 'warn' as const } : {}),
    }).catch((error: unknown) => {
      task.failed();
      throw error;
    });
    task.done();
    using _hangUp = onHangUp({
      reload: () => server.reload(),
      stop: stopping.resolve,
      say: (text) => context.output.note(text),
    });
    try {
      if (server.predecessor !== undefined) {
        const { predecessor } = server;
        context.output.note(`took over from process ${predecessor}, which finishes its last calls and ends by itself`);
      }
      await announceServer(server, context, stop.signal).catch((error: unknown) => {
        if (!stop.signal.aborted) throw error;
      });
      const successor = await Promise.race([stopping.promise, server.replaced]);
      if (successor !== undefined) await finishReplaced(server, successor, context, stopping.promise);
    } finally {
      const drain = await startTask('draining: running calls may finish; Ctrl-C again stops at once');
      await server.close();
      drain.done('stopped');
    }
  },
});

/** Ends a server whose place another has: it finishes its calls, or stops now when it is told to. */
async function finishReplaced(
  server: RunningServer,
  successor: number,
  { output }: CommandContext,
  stopping: Promise<void>,
): Promise<void> {
  output.note(`process ${successor} has taken over; this one ends when its last calls and connections have`);
  await Promise.race([server.close(), stopping]);
}

/** One flag for every setting of the server. */
async function settingOptions(): Promise<readonly OptionDefinition[]> {
  const { SETTINGS, flagName, variableName } = await import('@ebb/server');
  return Object.values(SETTINGS)
    .filter(({ name }) => !GLOBAL_SETTINGS.has(name))
    .map(({ name, description, fallback }) => ({
      flags: `${flagName(name)} <value>`,
      summary: `${description} (${variableName(name)}${fallback === undefined ? '' : `, default ${fallback}`})`,
    }));
}

async function flagsOf({ parameters }: CommandContext): Promise<Record<string, string>> {
  const { SETTINGS } = await import('@ebb/server');
  const flags: Record<string, string> = {};
  for (const name of [...Object.values(SETTINGS).map((setting) => setting.name), 'config']) {
    const value = parameters.text(name);
    if (value !== undefined) flags[name] = value;
  }
  return flags;
}
