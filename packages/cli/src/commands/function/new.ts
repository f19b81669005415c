import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { checkName } from '../../core/function-ref.ts';
import { bundledDirectory } from '../../core/bundled-directory.ts';

const DEFAULT_TEMPLATE = 'node';

/** Makes a new directory with a function from a template; an existing directory is refused. */
export const newCommand = defineCommand({
  name: 'function new',
  aliases: ['new'],
  summary: 'start a function from a template',
  args: [{ name: 'name', summary: 'name of the function and of its directory' }],
  options: [
    { flags: '-t, --template <name>', summary: 'node, node-event or node-http (default node)' },
    { flags: '--dir <dir>', summary: 'another directory than ./NAME' },
  ],
  examples: ['ebb new hello', 'ebb new on-upload --template node-event'],
  async run({ parameters, output, cwd }) {
    const { copyTemplate, listTemplates } = await import('../../templates/copy-template.ts');
    const name = await checkName(parameters.required('name'), 'name');
    const templates = bundledDirectory('templates');
    const template = parameters.text('template') ?? DEFAULT_TEMPLATE;
    const offered = templates === undefined ? [] : await listTemplates(templates);
    if (templates === undefined || !offered.includes(template)) {
      throw new CliError(
        'USAGE',
        `"--template" is "${template}" but must be ${offered.join(', ') || 'one that is installed'}`,
      );
    }
    const directory = resolve(cwd, parameters.text('dir') ?? name);
    if (existsSync(directory)) {
      throw new CliError('USAGE', `${directory} already exists; choose another name or --dir`);
    }
    const files = await copyTemplate(resolve(templates, template), directory, name);
    const shown = relative(cwd, directory) || '.';
    output.result({ name, template, directory, files }, () =>
      [
        `made ${shown} from the template ${template}:`,
        ...files.map((file) => `  ${file}`),
        '',
        'next:',
        `  cd ${shown}`,
        '  ebb deploy',
        `  ebb invoke ${name}`,
      ].join('\n'),
    );
  },
});
