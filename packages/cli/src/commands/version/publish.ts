import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { versionNumberOf } from '../../core/version-number.ts';

/** Says what a version is, and may point an alias at it. */
export const publishVersionCommand = defineCommand({
  name: 'version publish',
  summary: 'say what a version is, and point an alias at it',
  args: [
    { name: 'function', summary: 'NAME or NAME.NAMESPACE' },
    { name: 'version', summary: 'its number; default: the live one', kind: 'optional' },
  ],
  options: [
    { flags: '-d, --description <text>', summary: 'what the version is, for people' },
    { flags: '-a, --alias <name>', summary: 'an alias that sends every call to it from now on' },
  ],
  examples: ['ebb version publish hello 7 -d "release 2.1" --alias stable'],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const given = parameters.text('version');
    const [description, alias] = [parameters.text('description'), parameters.text('alias')];
    if (description === undefined && alias === undefined) {
      throw new CliError('USAGE', 'say what the version is with --description, or name an alias for it with --alias');
    }
    const { client } = await context.connect();
    const number =
      given === undefined ? (await client.functions.get(ref, { signal })).version : versionNumberOf(given, 'version');
    const version = await client.versions.publish(
      ref,
      number,
      { ...(description === undefined ? {} : { description }), ...(alias === undefined ? {} : { alias }) },
      { signal },
    );
    output.result(
      version,
      () => `published version ${number} of ${ref.name}${alias === undefined ? '' : ` as ${alias}`}`,
    );
  },
});
