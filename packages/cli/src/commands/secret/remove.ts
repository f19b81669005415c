import { defineCommand } from '../../core/command.ts';
import { namespaceOf } from '../../core/function-ref.ts';

/** Removes a secret that no function uses. */
export const removeSecretCommand = defineCommand({
  name: 'secret remove',
  aliases: ['secret rm'],
  summary: 'remove a secret that no function uses',
  args: [{ name: 'name', summary: 'name of the secret' }],
  async run(context) {
    const name = context.parameters.required('name');
    const namespace = await namespaceOf(context);
    const { client } = await context.connect();
    await client.secrets.remove(namespace, name, { signal: context.signal });
    context.output.result({ namespace, removed: name }, () => `removed secret ${name}`);
  },
});
