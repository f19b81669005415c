import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FunctionName } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';
import { CliError, EXIT, QuietExit } from '../../core/cli-error.ts';
import { type CommandContext, type Connection, defineCommand } from '../../core/command.ts';
import { type CalledPart, splitCalledPart } from '../../core/called-part.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { parsePairs } from '../../core/parameters.ts';
import { readRequestBody } from '../../invoke/request-body.ts';
import { describeResponse } from '../../invoke/describe-response.ts';

/** Calls a function, streaming both ways. Exits 1 when it answers anything but 2xx. */
export const invokeCommand = defineCommand({
  name: 'function invoke',
  aliases: ['function call', 'invoke'],
  summary: 'call a function; the body comes from --data, --file or standard input',
  args: [
    { name: 'function', summary: 'NAME or NAME.NAMESPACE; with :ALIAS or @VERSION for another than the live one' },
  ],
  options: [
    { flags: '-d, --data <text>', summary: 'send this text' },
    { flags: '-f, --file <file>', summary: 'send a file; "-" is standard input' },
    { flags: '-X, --method <method>', summary: 'HTTP method (default POST with a body, else GET)' },
    { flags: '-p, --path <path>', summary: 'rest of the path after the function' },
    { flags: '-H, --header <header>', summary: 'a header as "Name: value"', repeats: true },
    { flags: '--query <pair>', summary: 'a query parameter as name=value', repeats: true },
    { flags: '--no-stdin', summary: 'do not read standard input even when it is a pipe' },
    { flags: '-v, --verbose', summary: 'show status and headers on standard error' },
  ],
  examples: [
    'ebb invoke hello',
    'ebb invoke hello:beta',
    'ebb invoke hello@7',
    'ebb invoke hello --data \'{"name":"Ada"}\' --header "content-type: application/json"',
    'ebb invoke thumbnail --query width=320 < photo.jpg > small.webp',
  ],
  async run(context) {
    const { parameters, signal, stdin } = context;
    const { name, part } = await splitCalledPart(parameters.required('function'));
    const ref = await functionRefOf(context, name);
    const headers = parseHeaders(parameters.list('header'));
    const path = pathOf(context);
    const method = parameters.text('method')?.toUpperCase();
    if (method !== undefined && !/^[A-Z]{1,20}$/.test(method)) {
      throw new CliError('USAGE', `"--method" is "${method}" but must be an HTTP method such as "PUT"`);
    }
    const connection = await context.connect();
    const authenticate = await needsToken(connection, ref, part, signal);
    try {
      const body = await readRequestBody(context, method);
      const response = await connection.client.invoke(ref, {
        ...part,
        ...(method === undefined ? {} : { method }),
        ...(body === undefined ? {} : { body }),
        path,
        headers,
        authenticate,
        signal,
      });
      await show(response, context, connection.client);
    } finally {
      // An answer may come while the pipe is still open; nobody reads on.
      stdin.destroy();
    }
  },
});

/** Whether the function wants a token; one that is public must not see it. */
async function needsToken(
  { client, hasToken }: Connection,
  ref: FunctionName,
  { alias, version }: CalledPart,
  signal: AbortSignal,
): Promise<boolean> {
  if (!hasToken) return false;
  if (alias === undefined && version === undefined) {
    return (await client.functions.get(ref, { signal })).spec.auth === 'required';
  }
  const versions = await client.functions.versions(ref, { signal });
  return versions
    .filter((one) =>
      alias === undefined ? one.version === version || one.live : one.aliases.some(({ name }) => name === alias),
    )
    .some(({ spec }) => spec.auth === 'required');
}

async function show(response: Response, context: CommandContext, client: EbbClient): Promise<void> {
  const { output, parameters, stdout, signal } = context;
  const { ERROR_COMPONENT_HEADER } = await import('@ebb/contract');
  if (parameters.flag('verbose')) {
    output.errorLine(`${response.status} ${response.statusText}`.trimEnd());
    for (const [name, value] of response.headers) output.errorLine(`${name}: ${value}`);
    output.errorLine('');
  }
  if (!response.ok && response.headers.has(ERROR_COMPONENT_HEADER)) {
    const { readApiError } = await import('@ebb/sdk');
    throw await readApiError(response, client.url);
  }
  if (output.mode.json) output.result(await describeResponse(response), () => undefined);
  else if (response.body) {
    await pipeline(Readable.fromWeb(response.body), stdout, { end: false, signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new CliError('UNREACHABLE', 'the answer was cut before its end; "ebb logs" may say why', { cause: error });
    });
    if (stdout.isTTY) stdout.write('\n');
  }
  if (!response.ok) {
    output.note(
      `${output.style('red', 'error:')} the function answered ${response.status} ${response.statusText}`.trimEnd(),
    );
    throw new QuietExit(EXIT.failed);
  }
}

function parseHeaders(lines: readonly string[]): Record<string, string> {
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(':');
    try {
      headers.append(line.slice(0, colon === -1 ? line.length : colon), line.slice(colon + 1));
    } catch (error) {
      throw new CliError('USAGE', `"--header" is "${line}" but must be "Name: value"`, { cause: error });
    }
    if (colon < 1) throw new CliError('USAGE', `"--header" is "${line}" but must be "Name: value"`);
  }
  return Object.fromEntries(headers);
}

function pathOf({ parameters }: CommandContext): string {
  const path = parameters.text('path') ?? '';
  const query = new URLSearchParams(parsePairs(parameters.list('query'), '--query')).toString();
  if (query === '') return path;
  return `${path}${path.includes('?') ? '&' : '?'}${query}`;
}
