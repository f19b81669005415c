import { defineCommand } from '../../core/command.ts';
import { checkName } from '../../core/function-ref.ts';

/** Makes a namespace; one that exists already is no error. */
export const createNamespaceCommand = defineCommand({
  name: 'namespace create',
  aliases: ['namespace add'],
  summary: 'make a namespace',
  args: [{ name: 'name', summary: 'name of the namespace' }],
  examples: ['ebb namespace create team-a'],
  async run({ parameters, output, connect, signal }) {
    const name = await checkName(parameters.required('name'), 'name');
    const { client } = await connect();
    const namespace = await client.namespaces.create(name, { signal });
    output.result(namespace, () => `made namespace ${namespace.name}`);
  },
});
