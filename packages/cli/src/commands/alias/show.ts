import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { formatFields } from '../../terminal/table.ts';
import { describeMatches, describeShadow, describeShares, describeSticky } from '../../traffic/describe-alias.ts';

/** Shows one alias. Exits 3 when there is none. */
export const showAliasCommand = defineCommand({
  name: 'alias show',
  aliases: ['alias describe', 'alias get'],
  summary: 'show one alias',
  args: [
    { name: 'function', summary: 'NAME or NAME.NAMESPACE' },
    { name: 'alias', summary: 'name of the alias' },
  ],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const { client } = await context.connect();
    const alias = await client.aliases.get(ref, parameters.required('alias'), { signal });
    output.result(alias, () =>
      formatFields([
        ['Alias', alias.name],
        ['Description', alias.description],
        ['Calls go to', describeShares(alias)],
        ['Sticky by', alias.sticky && `${describeSticky(alias)}, for ${alias.sticky.maxAge}`],
        ['Matches', describeMatches(alias)],
        ['Shadow', describeShadow(alias)],
        ['Changed', formatAge(alias.updatedAt, Date.now())],
      ]),
    );
  },
});
