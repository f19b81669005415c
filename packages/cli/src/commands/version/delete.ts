import { defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { versionNumberOf } from '../../core/version-number.ts';

/** Deletes versions that nothing needs, one after the other; the first that is in use ends the command. */
export const deleteVersionCommand = defineCommand({
  name: 'version delete',
  aliases: ['version remove', 'version rm'],
  summary: 'delete versions that no alias names and nothing runs of',
  args: [
    { name: 'function', summary: 'NAME or NAME.NAMESPACE' },
    { name: 'version', summary: 'its number' },
    { name: 'versions', summary: 'further numbers', kind: 'many' },
  ],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const texts = [parameters.required('version'), ...parameters.list('versions')];
    const numbers = texts.map((text) => versionNumberOf(text, 'version'));
    const { client } = await context.connect();
    for (const number of numbers) {
      await client.versions.remove(ref, number, { signal });
      output.note(`deleted version ${number} of ${ref.name}`);
    }
    output.result({ deleted: { ...ref, versions: numbers } }, () => undefined);
  },
});
