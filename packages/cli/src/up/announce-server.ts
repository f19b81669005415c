import { join, relative } from 'node:path';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import type { RunningServer } from '@ebb/server';
import { bundledDirectory } from '../core/bundled-directory.ts';
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
  const { url, engine, dataDir, metricsUrl, adminSecret, firstStart, warnings } = server;
  output.result({ url, metricsUrl, engine, dataDir, adminSecret, firstStart, warnings }, () => banner(server, context));
  // A connection that is kept would keep a server that has been replaced waiting for itself.
  const { client } = await connectTo({ url, token: server.localToken }, { keepAlive: false });
  const wantsSamples = parameters.flag('samples') && server.functionCount === 0;
  const examples = wantsSamples ? samplesDirectory() : undefined;
  const [first, ...others] = SAMPLES;
  if (examples !== undefined && first !== undefined) {
    await deploySamples([first], { context, client, examples, signal });
  }
  if (signal.aborted) return;
  const deployed = (await client.functions.list(DEFAULT_NAMESPACE, { signal })).map(({ name }) => name);
  const names = examples === undefined ? deployed : [...deployed, ...others];
  output.note(['', 'Try:', ...commandsToTry(names, url, context).map((line) => `  ${line}`), ''].join('\n'));
  if (examples !== undefined) void deploySamples(others, { context, client, examples, signal });
}

function banner({ url, engine, metricsUrl, dataDir, adminSecret }: RunningServer, context: CommandContext): string {
  const { output, version } = context;
  const fields = formatFields([
    ['Address', output.style('bold', url)],
    ['Engine', engine === 'process' ? 'process (functions are not isolated from this machine)' : engine],
    ['Metrics', metricsUrl],
    ['Data', dataDir],
    ['Admin secret', adminSecret],
  ]);
  const hint = 'The admin secret is shown this once. Commands on this machine need no login.';
  return [
    `${output.style('bold', 'Ebb')} ${version} is up`,
    '',
    fields.replace(/^/gm, '  '),
    ...(adminSecret === undefined ? [] : ['', `  ${hint}`]),
  ].join('\n');
}

/** Three commands that work with what is deployed. */
function commandsToTry(names: readonly string[], url: string, { env, cwd }: CommandContext): string[] {
  const ebb = env['npm_lifecycle_event'] === undefined ? 'ebb' : 'npx ebb';
  const first = names.includes('hello') ? 'hello' : names[0];
  if (first === undefined) return [`${ebb} new hello`, `cd hello && ${ebb} deploy`, `${ebb} invoke hello`];
  const examples = bundledDirectory('examples');
  const second =
    names.includes('thumbnail') && examples !== undefined
      ? `${ebb} invoke thumbnail < ${relative(cwd, join(examples, 'thumbnail', 'photo.jpg'))} > small.webp`
      : `${ebb} invoke ${first}`;
  return [`curl ${url}/function/${first}`, second, `${ebb} list`];
}
