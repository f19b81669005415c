import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CliError } from '../../core/cli-error.ts';
import { type CommandContext, defineCommand } from '../../core/command.ts';
import { namespaceOf } from '../../core/function-ref.ts';
import { askHidden } from '../../terminal/ask-hidden.ts';

const NEWLINE = 0x0a;

/** Sets a secret to exactly the bytes given. */
export const setSecretCommand = defineCommand({
  name: 'secret set',
  aliases: ['secret create'],
  summary: 'set a secret from a file, standard input or a prompt',
  args: [{ name: 'name', summary: 'name of the secret' }],
  options: [
    { flags: '--from-file <file>', summary: 'take exactly the bytes of a file' },
    { flags: '--value <text>', summary: 'take this text (other users of the machine can see it)' },
    { flags: '--trim', summary: 'leave out line breaks at the end' },
  ],
  examples: [
    'ebb secret set api-key',
    'printf %s "$KEY" | ebb secret set api-key',
    'ebb secret set tls.key --from-file ./tls.key',
  ],
  async run(context) {
    const name = context.parameters.required('name');
    const namespace = await namespaceOf(context);
    const given = await readValue(context, name);
    const value = context.parameters.flag('trim') ? trimmed(given) : given;
    if (value.length === 0) throw new CliError('INPUT_INVALID', `the value of secret "${name}" is empty`);
    const { client } = await context.connect();
    const secret = await client.secrets.set(namespace, name, value, { signal: context.signal });
    if (value.at(-1) === NEWLINE) context.output.note('The value ends with a line break; --trim leaves it out.');
    context.output.result(secret, () => `set secret ${secret.name}`);
  },
});

async function readValue(context: CommandContext, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const { parameters, stdin, stderr, cwd } = context;
  const file = parameters.text('fromFile');
  const value = parameters.text('value');
  if (file !== undefined && value !== undefined) {
    throw new CliError('USAGE', 'give either --from-file or --value, not both');
  }
  if (value !== undefined) return new TextEncoder().encode(value);
  if (file !== undefined && file !== '-') return readFileBytes(resolve(cwd, file));
  if (stdin.isTTY) return new TextEncoder().encode(await askHidden(`Value of ${name}: `, stdin, stderr));
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Buffer));
  return new Uint8Array(Buffer.concat(chunks));
}

async function readFileBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw new CliError('FILE_FAILED', `the file ${path} cannot be read`, { cause: error });
  }
}

function trimmed(value: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  let end = value.length;
  while (end > 0 && (value[end - 1] === NEWLINE || value[end - 1] === 0x0d)) end -= 1;
  return value.slice(0, end);
}
