import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { namespaceOf } from '../../core/function-ref.ts';
import { formatTable } from '../../terminal/table.ts';

/** Shows the queues that hold something. */
export const listQueuesCommand = defineCommand({
  name: 'queue list',
  aliases: ['queue ls'],
  summary: 'show the queues that hold outcomes',
  examples: ['ebb queue list'],
  async run(context) {
    const { output, signal } = context;
    const { client } = await context.connect();
    const queues = await client.queues.list(await namespaceOf(context), { signal });
    output.result(queues, () =>
      queues.length === 0
        ? 'no queue holds anything'
        : formatTable(queues, [
            { title: 'name', value: (queue) => queue.name },
            { title: 'waiting', value: (queue) => queue.waiting, align: 'right' },
            { title: 'taken', value: (queue) => queue.taken, align: 'right' },
            {
              title: 'oldest',
              value: ({ oldestAt }) => (oldestAt === undefined ? '' : formatAge(oldestAt, Date.now())),
            },
          ]),
    );
  },
});
