import { defineCommand } from '../../core/command.ts';
import { formatDeadLetters } from '../../invocation/format-invocation.ts';
import { filterOf, FILTER_OPTIONS } from '../../invocation/dead-letter-filter.ts';

/** Shows calls that were given up, newest first. */
export const listDeadLettersCommand = defineCommand({
  name: 'dead-letters list',
  aliases: ['dead-letters ls'],
  summary: 'show asynchronous calls that were given up, newest first',
  options: [
    ...FILTER_OPTIONS,
    { flags: '--redriven', summary: 'those that were redriven, instead of those that were not' },
    { flags: '--limit <count>', summary: 'at most this many (default 100)' },
    { flags: '--cursor <text>', summary: 'go on where a list ended' },
  ],
  examples: ['ebb dead-letters list', 'ebb dead-letters list --function thumbnail --reason status --since 1d'],
  async run(context) {
    const { parameters, output, signal } = context;
    const filter = await filterOf(context);
    const { client } = await context.connect();
    const page = await client.deadLetters.list(
      {
        ...filter,
        redriven: parameters.flag('redriven') ? 'true' : undefined,
        limit: parameters.count('limit', 1),
        cursor: parameters.text('cursor'),
      },
      { signal },
    );
    output.result(page, () =>
      page.invocations.length === 0 ? 'no dead letters' : formatDeadLetters(page.invocations, Date.now()),
    );
    if (page.next !== undefined) output.note(`there are more: --cursor ${page.next}`);
  },
});
