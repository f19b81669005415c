import { CliError } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';
import { checkUrl } from '../core/discover-server.ts';
import { namespaceOf } from '../core/function-ref.ts';
import { createHttpFetch } from '../core/http-fetch.ts';
import type { ImportSource } from './deployment.ts';
import { readCredentials } from './read-credentials.ts';
import { readGateway } from './read-gateway.ts';
import { readStack } from './read-stack.ts';

/** Reads what the options of `ebb import openfaas` name: a gateway or a file. Throws USAGE and what reading throws. */
export async function readSource(context: CommandContext): Promise<ImportSource> {
  const { parameters, cwd, env, signal, stdin } = context;
  const given = parameters.text('gateway');
  const file = parameters.text('file');
  if ((given === undefined) === (file === undefined)) {
    throw new CliError('USAGE', 'give either --gateway with the address of a gateway, or -f with a stack.yaml');
  }
  const namespace = parameters.text('namespace') === undefined ? undefined : await namespaceOf(context);
  if (file !== undefined) {
    if (parameters.text('username') !== undefined || parameters.flag('passwordStdin')) {
      throw new CliError('USAGE', '--username and --password-stdin are for --gateway');
    }
    return readStack(file, { cwd, env, namespace, signal });
  }
  const gateway = checkUrl(given ?? '', '--gateway');
  const password = parameters.flag('passwordStdin') ? await readPassword(stdin) : undefined;
  const authorization = await readCredentials({ gateway, username: parameters.text('username'), password, env, cwd });
  return readGateway({ gateway, authorization, namespace, fetch: createHttpFetch({ keepAlive: false }), signal });
}

async function readPassword(stdin: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Buffer));
  const password = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (password !== '') return password;
  throw new CliError('INPUT_INVALID', '--password-stdin found no password on standard input');
}
