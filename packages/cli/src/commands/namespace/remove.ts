import { defineCommand } from '../../core/command.ts';
import { checkName } from '../../core/function-ref.ts';

/** Removes a namespace that holds nothing. */
export const removeNamespaceCommand = defineCommand({
  name: 'namespace remove',
  aliases: ['namespace rm'],
  summary: 'remove an empty namespace',
  args: [{ name: 'name', summary: 'name of the namespace' }],
  async run({ parameters, output, connect, signal }) {
    const name = await checkName(parameters.required('name'), 'name');
    const { client } = await connect();
    await client.namespaces.remove(name, { signal });
    output.result({ removed: name }, () => `removed namespace ${name}`);
  },
});
