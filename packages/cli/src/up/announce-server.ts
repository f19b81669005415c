import type { RunningServer } from '@ebb/server';
import type { CommandContext } from '../core/command.ts';
import { connectTo } from '../core/connect.ts';
import { formatFields } from '../terminal/table.ts';
import { deploySamples, SAMPLES, samplesDirectory } from './deploy-samples.ts';

/**
 * Says where a started server is and what to try, and with `--samples` deploys the samples when there are no functions:
 * the quick one before the commands to try are shown, the others behind.
 */
export async function announceServer(
  server: RunningServer,
  context: CommandContext,
  signal: AbortSignal,
): Promise<void> {
  const { output, parameters } = context;
  for (const warning of server.warnings) output.warn(warning);
  const { url, engine, dataDir, metricsUrl, adminSecret, firstStart } = server;
  output.result({ url, metricsUrl, engine, dataDir, adminSecret, firstStart, warnings: server.warnings }, () =>
    [
      `${output.style('bold', 'Ebb')} ${context.version} is up`,
      '',
      formatFields([
        ['Address', output.style('bold', url)],
        ['Engine', engine === 'process' ? 'process (functions are not isolated from this machine)' : engine],
        ['Metrics', metricsUrl],
        ['Data', dataDir],
        ['Admin secret', adminSecret],
      ]).replace(/^/gm, '  '),
      ...(adminSecret === undefined
        ? []
        : ['                (shown this once; commands on this machine need no login)']),
    ].join('\n'),
  );
  const wantsSamples = parameters.flag('samples') && server.functionCount === 0;
  const examples = wantsSamples ? samplesDirectory() : undefined;
  if (examples === undefined) return showCommands(context, url, server.functionCount > 0 || !wantsSamples);
  const { client } = await connectTo({ url, token: server.localToken });
  const [first, ...others] = SAMPLES;
  await deploySamples(first === undefined ? [] : [first], { context, client, examples, signal });
  if (signal.aborted) return;
  showCommands(context, url, true);
  void deploySamples(others, { context, client, examples, signal });
}

function showCommands({ output, env }: CommandContext, url: string, isAny: boolean): void {
  if (!isAny) return;
  const ebb = env['npm_lifecycle_event'] === undefined ? 'ebb' : 'npx ebb';
  output.note(
    [
      '',
      'Try:',
      `  curl ${url}/function/hello`,
      `  ${ebb} invoke thumbnail < examples/thumbnail/photo.jpg > small.webp`,
      `  ${ebb} list`,
      '',
    ].join('\n'),
  );
}
