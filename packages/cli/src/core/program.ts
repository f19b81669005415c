import { Argument, Command, Option } from 'commander';
import type { ArgumentDefinition, CommandDefinition, OptionDefinition } from './command.ts';

/** Options every command takes. */
const GLOBAL_OPTIONS: readonly OptionDefinition[] = [
  { flags: '--url <url>', summary: 'address of the server (EBB_URL)' },
  { flags: '--token <token>', summary: 'secret to log in with (EBB_TOKEN)' },
  { flags: '--data-dir <dir>', summary: 'data directory of a server on this machine (EBB_DATA_DIR)' },
  { flags: '-n, --namespace <name>', summary: 'namespace of functions and secrets' },
  { flags: '--json', summary: 'print results and errors as JSON' },
  { flags: '-q, --quiet', summary: 'print results and errors only' },
  { flags: '--no-color', summary: 'print without colours (NO_COLOR)' },
];

const NOUNS: Readonly<Record<string, { readonly aliases: readonly string[]; readonly summary: string }>> = {
  function: { aliases: ['fn'], summary: 'deploy, call and look after functions' },
  namespace: { aliases: ['ns'], summary: 'make and remove namespaces' },
  secret: { aliases: [], summary: 'set and remove secrets' },
  server: { aliases: [], summary: 'start a server and look at it' },
  version: {
    aliases: [],
    summary: 'look after the versions of functions; alone: show those of the command line and the server',
  },
  alias: { aliases: [], summary: 'point names at versions, or split calls between them' },
  invocations: { aliases: ['invocation', 'inv'], summary: 'look after calls that were accepted to be made later' },
  'dead-letters': { aliases: ['dead-letter', 'dlq'], summary: 'look after calls that were given up' },
  queue: { aliases: ['queues'], summary: 'read the queues that outcomes are sent to' },
  job: { aliases: [], summary: 'run images and functions as many tasks, each to its end' },
  import: { aliases: [], summary: 'bring functions over from another platform' },
  rollout: { aliases: [], summary: 'watch new versions take over step by step, and decide about them' },
};

/** A command that was asked for, with all that was given to it. */
export type Selected = (command: CommandDefinition, values: Readonly<Record<string, unknown>>) => void;

/** Makes the parser for a list of commands; `select` is called with the one asked for. */
export function createProgram(commands: readonly CommandDefinition[], version: string, select: Selected): Command {
  const program = new Command('ebb')
    .description('Ebb runs your functions and container images and lets them ebb away when they are idle.')
    .version(version, '-V, --version', 'print the version')
    .usage('<command> [options]')
    .helpCommand(false)
    .showSuggestionAfterError()
    .showHelpAfterError('"ebb --help" shows the commands')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, helpWidth: Math.min(process.stdout.columns ?? 100, 110) })
    .optionsGroup('Options of every command:');
  for (const option of GLOBAL_OPTIONS) program.addOption(toOption(option));
  program.commandsGroup('Commands:');
  const groups = new Map<string, Command>();
  const paths = commands.flatMap((definition) =>
    [...verbsByNoun(definition)].map(([noun, verbs]) => ({ definition, noun, verbs })),
  );
  for (const { definition, noun, verbs } of [
    ...paths.filter((path) => path.noun === ''),
    ...paths.filter((path) => path.noun !== ''),
  ]) {
    addCommand(noun === '' ? program : groupOf(program, groups, noun), verbs, definition, select);
  }
  return program;
}

/** The ways to say a command, by the word before the verb (`''` for none). */
function verbsByNoun(definition: CommandDefinition): Map<string, string[]> {
  const verbs = new Map<string, string[]>();
  for (const path of [definition.name, ...(definition.aliases ?? [])]) {
    const [noun, verb] = path.includes(' ') ? path.split(' ') : ['', path];
    if (noun === undefined || verb === undefined) continue;
    verbs.set(noun, [...(verbs.get(noun) ?? []), verb]);
  }
  return verbs;
}

function groupOf(program: Command, groups: Map<string, Command>, noun: string): Command {
  const existing = groups.get(noun);
  if (existing) return existing;
  const { aliases, summary } = NOUNS[noun] ?? { aliases: [], summary: '' };
  // A noun may be a command of its own too, such as `ebb version`.
  const group = program.commands.find((command) => command.name() === noun) ?? program.command(noun);
  group
    .description(summary)
    .usage('<verb> [options]')
    .helpCommand(false)
    .showHelpAfterError(`"ebb ${noun} --help" shows the commands`);
  group.helpGroup('Commands by noun:');
  if (aliases.length > 0) group.aliases(aliases);
  groups.set(noun, group);
  return group;
}

function addCommand(parent: Command, verbs: readonly string[], definition: CommandDefinition, select: Selected): void {
  const [verb = '', ...aliases] = verbs;
  const path = [...(parent.parent ? [parent.name()] : []), verb].join(' ');
  const command = parent
    .command(verb)
    .description(definition.summary)
    .aliases(aliases)
    .showHelpAfterError(`"ebb ${path} --help" shows how it is used`);
  for (const argument of definition.args ?? []) command.addArgument(toArgument(argument));
  for (const option of definition.options ?? []) command.addOption(toOption(option));
  const examples = definition.examples ?? [];
  if (examples.length > 0) {
    command.addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`);
  }
  command.action(() => {
    const values: Record<string, unknown> = { ...command.optsWithGlobals() };
    definition.args?.forEach((argument, index) => (values[argument.name] = command.processedArgs[index] as unknown));
    select(definition, values);
  });
}

/** Adds options that had to be loaded first to the command they belong to, wherever it is in the tree. */
export function addLoadedOptions(
  program: Command,
  definition: CommandDefinition,
  options: readonly OptionDefinition[],
): void {
  for (const [noun, [verb]] of verbsByNoun(definition)) {
    const parent = noun === '' ? program : program.commands.find((command) => command.name() === noun);
    const command = parent?.commands.find((candidate) => candidate.name() === verb);
    for (const option of options) command?.addOption(toOption(option));
  }
}

function toOption(definition: OptionDefinition): Option {
  const option = new Option(definition.flags, definition.summary);
  if (definition.repeats === true) {
    option.argParser((value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value]);
  }
  return option;
}

function toArgument(definition: ArgumentDefinition): Argument {
  const { kind = 'required', name, summary } = definition;
  const shown = kind === 'required' ? `<${name}>` : kind === 'optional' ? `[${name}]` : `[${name}...]`;
  return new Argument(shown, summary);
}
