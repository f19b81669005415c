import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';

/** Removes functions one after the other; the first that fails ends the command. */
export const removeCommand = defineCommand({
  name: 'function remove',
  aliases: ['function rm', 'remove', 'rm'],
  summary: 'remove functions with all their versions',
  args: [{ name: 'functions', summary: 'NAME or NAME.NAMESPACE', kind: 'many' }],
  examples: ['ebb remove hello', 'ebb rm resize ocr.team-a'],
  async run(context) {
    const { parameters, output, signal } = context;
    const names = parameters.list('functions');
    if (names.length === 0) throw new CliError('USAGE', 'name the function to remove: "ebb remove NAME"');
    const refs = await Promise.all(names.map((name) => functionRefOf(context, name)));
    const { client } = await context.connect();
    for (const ref of refs) {
      await client.functions.remove(ref, { signal });
      output.note(`removed ${ref.name} from ${ref.namespace}`);
    }
    output.result({ removed: refs }, () => undefined);
  },
});
