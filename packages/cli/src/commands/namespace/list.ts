import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { formatTable } from '../../terminal/table.ts';
import { describeLimits } from './describe-limits.ts';

/** Shows the namespaces. */
export const listNamespacesCommand = defineCommand({
  name: 'namespace list',
  aliases: ['namespace ls'],
  summary: 'show the namespaces',
  async run({ output, connect, signal }) {
    const { client } = await connect();
    const namespaces = await client.namespaces.list({ signal });
    output.result(namespaces, () =>
      formatTable(namespaces, [
        { title: 'name', value: (namespace) => namespace.name },
        { title: 'limits', value: (namespace) => describeLimits(namespace.limits) },
        { title: 'made', value: (namespace) => formatAge(namespace.createdAt, Date.now()) },
      ]),
    );
  },
});
