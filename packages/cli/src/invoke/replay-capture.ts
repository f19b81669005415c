import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FunctionName } from '@ebb/contract';
import { splitCalledPart } from '../core/called-part.ts';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext, Connection } from '../core/command.ts';
import { functionRefOf } from '../core/function-ref.ts';
import { escapeControls } from '../terminal/escape-controls.ts';
import { type Capture, readCapture } from './capture-file.ts';
import { needsToken } from './needs-token.ts';
import { showResponse } from './show-response.ts';

/** What an instance wrote is in the log a moment later. */
const LOG_LAG_MS = 100;
/** Said anew by whoever sends the request. */
const FRAMING = /^(?:host|connection|content-length|transfer-encoding|expect|te|trailer|upgrade|keep-alive)$/i;

/**
 * Makes the call of a capture: of the function it was for, of the one that is named, or with `--local` of the code of a
 * directory, which a server of its own runs meanwhile. Prints the answer as `ebb invoke` does.
 */
export async function replayCapture(file: string, context: CommandContext): Promise<void> {
  const { parameters, cwd } = context;
  const capture = await readCapture(resolve(cwd, file));
  const directory = parameters.flag('local') ? '.' : parameters.text('local');
  const named = parameters.text('function');
  if (directory === undefined) {
    const { call } = capture;
    const { name, part } = await splitCalledPart(named ?? call.target);
    const inNamespace = parameters.text('namespace') === undefined && named === undefined;
    const ref = inNamespace ? { namespace: call.namespace, name } : await functionRefOf(context, name);
    await send(capture, ref, part, await context.connect(), context);
    return;
  }
  if (named !== undefined) throw new CliError('USAGE', 'give either a function or --local, not both');
  const { withLocalFunction } = await import('./local-function.ts');
  const { name } = await splitCalledPart(capture.call.target);
  await withLocalFunction({ directory: resolve(cwd, directory), name, context }, async ({ connection, ref }) => {
    try {
      await send(capture, ref, {}, connection, context);
    } finally {
      await showLog(ref, connection, context);
    }
  });
}

/** What the function wrote during the call: where it fails, that is what the person looks for. */
async function showLog(ref: FunctionName, { client }: Connection, { output, signal }: CommandContext): Promise<void> {
  await sleep(LOG_LAG_MS, undefined, { signal });
  for await (const line of client.functions.logs(ref, { tail: 200 }, { signal })) {
    if (line.source !== 'platform') output.note(`${output.style('dim', '|')} ${escapeControls(line.text)}`);
  }
}

async function send(
  { request }: Capture,
  ref: FunctionName,
  part: Awaited<ReturnType<typeof splitCalledPart>>['part'],
  connection: Connection,
  context: CommandContext,
): Promise<void> {
  const { signal } = context;
  const headers: Record<string, string> = {};
  for (const [name, value] of request.headers) {
    if (FRAMING.test(name)) continue;
    const known = Object.keys(headers).find((one) => one.toLowerCase() === name.toLowerCase());
    headers[known ?? name] = known === undefined ? value : `${headers[known]}, ${value}`;
  }
  const body = new Uint8Array(Buffer.from(request.bodyBase64, 'base64'));
  const response = await connection.client.invoke(ref, {
    ...part,
    method: request.method,
    path: request.path,
    headers,
    ...(body.length === 0 ? {} : { body }),
    authenticate: await needsToken(connection, ref, part, signal),
    signal,
  });
  await showResponse(response, context, connection.client);
}
