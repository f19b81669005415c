import { defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';

/** Removes an alias; the versions stay. Exits 3 when there is none. */
export const removeAliasCommand = defineCommand({
  name: 'alias remove',
  aliases: ['alias rm'],
  summary: 'remove an alias; the versions stay',
  args: [
    { name: 'function', summary: 'NAME or NAME.NAMESPACE' },
    { name: 'alias', summary: 'name of the alias' },
  ],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const alias = parameters.required('alias');
    const { client } = await context.connect();
    await client.aliases.remove(ref, alias, { signal });
    output.note(`removed the alias ${alias} of ${ref.name}`);
    output.result({ removed: { ...ref, alias } }, () => undefined);
  },
});
