import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { namespaceOf } from '../../core/function-ref.ts';
import { formatTable } from '../../terminal/table.ts';

/** Shows the names of secrets; their values never leave the server (T2). */
export const listSecretsCommand = defineCommand({
  name: 'secret list',
  aliases: ['secret ls'],
  summary: 'show the names of the secrets',
  async run(context) {
    const namespace = await namespaceOf(context);
    const { client } = await context.connect();
    const secrets = await client.secrets.list(namespace, { signal: context.signal });
    if (secrets.length === 0) context.output.note(`no secrets in ${namespace}; "ebb secret set NAME" sets one`);
    context.output.result(secrets, () =>
      secrets.length === 0
        ? undefined
        : formatTable(secrets, [
            { title: 'name', value: (secret) => secret.name },
            { title: 'set', value: (secret) => formatAge(secret.updatedAt, Date.now()) },
          ]),
    );
  },
});
