import { defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { versionNumberOf } from '../../core/version-number.ts';

/** Gives every call of a function to the version that had them before. */
export const rollbackCommand = defineCommand({
  name: 'function rollback',
  aliases: ['rollback'],
  summary: 'give every call to the version that had them before; a second time leads forward again',
  args: [{ name: 'function', summary: 'NAME or NAME.NAMESPACE' }],
  options: [{ flags: '--to <version>', summary: 'another version than the one before' }],
  examples: ['ebb rollback hello', 'ebb rollback hello --to 7'],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const given = parameters.text('to');
    const to = given === undefined ? undefined : versionNumberOf(given, '--to');
    const { client } = await context.connect();
    const resource = await client.functions.rollback(ref, { to, signal });
    output.result(resource, () => {
      const { name, version, before } = resource;
      const forward = before === undefined ? '' : `; the same again goes to version ${before}`;
      return `every call of ${name} goes to version ${version} now${forward}`;
    });
  },
});
