import type { FunctionName } from '@ebb/contract';
import { CliError } from './cli-error.ts';
import type { CommandContext } from './command.ts';

const NAME_RULE = '1 to 63 lower-case letters, digits or "-", starting and ending with a letter or digit';

/** The namespace a command works in: `--namespace`, else `fallback`, else the default one. Throws USAGE. */
export async function namespaceOf(context: CommandContext, fallback?: string): Promise<string> {
  const { DEFAULT_NAMESPACE } = await import('@ebb/contract');
  return checkName(context.parameters.text('namespace') ?? fallback ?? DEFAULT_NAMESPACE, '--namespace');
}

/** Reads `NAME` or `NAME.NAMESPACE`. Throws USAGE when it is neither, or names another namespace than `--namespace`. */
export async function functionRefOf(context: CommandContext, text: string): Promise<FunctionName> {
  const { parseFunctionName } = await import('@ebb/contract');
  const namespace = await namespaceOf(context);
  const ref = parseFunctionName(text, namespace);
  if (!ref) {
    throw new CliError('USAGE', `the function is "${text}" but must be NAME or NAME.NAMESPACE, each ${NAME_RULE}`);
  }
  if (context.parameters.text('namespace') !== undefined && ref.namespace !== namespace) {
    throw new CliError('USAGE', `"${text}" names the namespace "${ref.namespace}" but --namespace says "${namespace}"`);
  }
  return ref;
}

/** Checks a name of a function or namespace; `what` names where it was given. */
export async function checkName(name: string, what: string): Promise<string> {
  const { NAME_PATTERN } = await import('@ebb/contract');
  if (NAME_PATTERN.test(name)) return name;
  throw new CliError('USAGE', `"${what}" is "${name}" but must be ${NAME_RULE}`);
}
