import { DEAD_REASONS, type DeadLetterSelection } from '@ebb/contract';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext, OptionDefinition } from '../core/command.ts';
import { functionRefOf, namespaceOf } from '../core/function-ref.ts';
import { optionalMomentOf } from '../core/moment.ts';

/** Options that say which dead letters are meant. */
export const FILTER_OPTIONS: readonly OptionDefinition[] = [
  { flags: '--function <name>', summary: 'only calls of this function' },
  { flags: '--reason <reason>', summary: `only those given up for: ${DEAD_REASONS.join(', ')}` },
  { flags: '--since <time>', summary: 'only those accepted since a moment, or so long ago: 10m' },
  { flags: '--before <time>', summary: 'only those accepted before a moment, or longer ago: 1h' },
];

/** What the options say. Throws USAGE. */
export async function filterOf(context: CommandContext) {
  const { parameters } = context;
  const named = parameters.text('function');
  const ref = named === undefined ? undefined : await functionRefOf(context, named);
  const said = parameters.text('reason');
  const reason = DEAD_REASONS.find((one) => one === said);
  if (said !== undefined && reason === undefined) {
    throw new CliError('USAGE', `"--reason" is "${said}" but must be one of ${DEAD_REASONS.join(', ')}`);
  }
  return {
    namespace: ref?.namespace ?? (await namespaceOf(context)),
    function: ref?.name,
    reason,
    since: await optionalMomentOf(parameters.text('since'), '--since'),
    before: await optionalMomentOf(parameters.text('before'), '--before'),
  };
}

/**
 * The dead letters that a command is to change: the ids given, or all that match, which is not to happen by mistake.
 * `verb` names the command. Throws USAGE.
 */
export async function selectionOf(context: CommandContext, verb: string): Promise<DeadLetterSelection> {
  const { parameters } = context;
  const ids = parameters.list('ids');
  const filter = await filterOf(context);
  const isFiltered = ['function', 'reason', 'since', 'before'].some((name) => parameters.text(name) !== undefined);
  if (ids.length > 0) {
    if (isFiltered || parameters.flag('all')) throw new CliError('USAGE', 'give either ids or a filter, not both');
    // Ids are known to one namespace only; which one matters where it is said.
    return { ids: [...ids], namespace: parameters.text('namespace') };
  }
  if (filter.function === undefined && !parameters.flag('all')) {
    const all = `"ebb dead-letters ${verb} --all"`;
    throw new CliError('USAGE', `name the calls by id or with --function; ${all} means those of every function`);
  }
  return { ...filter, ...(filter.function === undefined ? { all: true as const } : {}) };
}
