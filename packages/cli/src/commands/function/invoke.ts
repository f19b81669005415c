import { CliError } from '../../core/cli-error.ts';
import { splitCalledPart } from '../../core/called-part.ts';
import { type CommandContext, defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { parsePairs } from '../../core/parameters.ts';
import { ASYNC_OPTIONS, asyncOptionsOf } from '../../invoke/async-options.ts';
import { needsToken } from '../../invoke/needs-token.ts';
import { readRequestBody } from '../../invoke/request-body.ts';
import { showResponse } from '../../invoke/show-response.ts';

/** Calls a function, streaming both ways. Exits 1 when it answers anything but 2xx. */
export const invokeCommand = defineCommand({
  name: 'function invoke',
  aliases: ['function call', 'invoke'],
  summary: 'call a function; the body comes from --data, --file or standard input',
  args: [
    {
      name: 'function',
      summary: 'NAME or NAME.NAMESPACE; with :ALIAS or @VERSION for another than the live one',
      kind: 'optional',
    },
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
    ...ASYNC_OPTIONS,
    { flags: '--replay <file>', summary: 'make the call of a file that "ebb invocations capture" wrote' },
    { flags: '--local [dir]', summary: 'with --replay: run the code of this directory for it, on a server of its own' },
  ],
  examples: [
    'ebb invoke hello',
    'ebb invoke hello:beta',
    'ebb invoke hello@7',
    'ebb invoke hello --data \'{"name":"Ada"}\' --header "content-type: application/json"',
    'ebb invoke thumbnail --query width=320 < photo.jpg > small.webp',
    'ebb invoke thumbnail --async --delay 5m --callback https://hooks.example/done < photo.jpg',
    'ebb invoke --replay failed.json --local .',
  ],
  async run(context) {
    const { parameters, signal, stdin } = context;
    const replay = parameters.text('replay');
    if (replay !== undefined) {
      const { replayCapture } = await import('../../invoke/replay-capture.ts');
      await replayCapture(replay, context);
      return;
    }
    const given = await asyncOptionsOf(context);
    const { name, part } = await splitCalledPart(functionOf(context));
    const ref = await functionRefOf(context, name);
    const headers = parseHeaders(parameters.list('header'));
    const path = pathOf(context);
    const method = parameters.text('method')?.toUpperCase();
    if (method !== undefined && !/^[A-Z]{1,20}$/.test(method)) {
      throw new CliError('USAGE', `"--method" is "${method}" but must be an HTTP method such as "PUT"`);
    }
    if (given !== undefined && method !== undefined && method !== 'POST') {
      throw new CliError('USAGE', `"--method" is "${method}" but with --async it is always POST`);
    }
    const connection = await context.connect();
    const authenticate = await needsToken(connection, ref, part, signal);
    try {
      const body = await readRequestBody(context, method);
      if (given !== undefined) {
        const { invokeLater } = await import('../../invoke/invoke-later.ts');
        const call = {
          ...part,
          ...given,
          ...(body === undefined ? {} : { body }),
          path,
          headers,
          authenticate,
          signal,
        };
        await invokeLater(ref, call, context, connection.client);
        return;
      }
      const response = await connection.client.invoke(ref, {
        ...part,
        ...(method === undefined ? {} : { method }),
        ...(body === undefined ? {} : { body }),
        path,
        headers,
        authenticate,
        signal,
      });
      await showResponse(response, context, connection.client);
    } finally {
      // An answer may come while the pipe is still open; nobody reads on.
      stdin.destroy();
    }
  },
});

function functionOf({ parameters }: CommandContext): string {
  if (parameters.text('local') !== undefined || parameters.flag('local')) {
    throw new CliError('USAGE', '"--local" goes with --replay');
  }
  const name = parameters.text('function');
  if (name === undefined) throw new CliError('USAGE', 'name the function to call: "ebb invoke NAME"');
  return name;
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
