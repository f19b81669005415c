import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { changeDeadLetters, requireFound } from '../../invocation/change-dead-letters.ts';
import { FILTER_OPTIONS, selectionOf } from '../../invocation/dead-letter-filter.ts';
import { confirm } from '../../terminal/confirm.ts';

/** Removes dead letters for good; asks before it does. */
export const purgeDeadLettersCommand = defineCommand({
  name: 'dead-letters purge',
  summary: 'remove asynchronous calls that were given up for good: by id, or all that match',
  args: [{ name: 'ids', summary: 'ids of the calls', kind: 'many' }],
  options: [
    ...FILTER_OPTIONS,
    { flags: '--all', summary: 'of every function of the namespace' },
    { flags: '-y, --yes', summary: 'do not ask' },
  ],
  examples: ['ebb dead-letters purge --function thumbnail --before 7d', 'ebb dead-letters purge --all --yes'],
  async run(context) {
    const { parameters, output, stdin, stderr, signal } = context;
    const selection = await selectionOf(context, 'purge');
    if (!parameters.flag('yes')) {
      if (!stdin.isTTY)
        throw new CliError('USAGE', 'what is purged is gone for good; say --yes where nobody can be asked');
      const what = selection.ids
        ? `${selection.ids.length} of the dead letters`
        : `all dead letters ${selection.function === undefined ? '' : `of ${selection.function} `}that match`;
      if (!(await confirm(`Remove ${what} for good?`, stdin, stderr, signal))) {
        output.note('nothing was removed');
        return;
      }
    }
    const { client } = await context.connect();
    const total = await changeDeadLetters(context, selection, {
      doing: 'purging',
      done: 'removed',
      step: (part) => client.deadLetters.purge(part, { signal }),
    });
    output.result(total, () => undefined);
    output.note(`removed ${total.count}`);
    requireFound(total);
  },
});
