import type { AliasResource } from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { type Column, formatTable } from '../../terminal/table.ts';
import { describeMatches, describeShadow, describeShares, describeSticky } from '../../traffic/describe-alias.ts';

/** Shows the aliases of a function. Exits 3 when there is no such function. */
export const listAliasesCommand = defineCommand({
  name: 'alias list',
  aliases: ['alias ls'],
  summary: 'show the aliases of a function; "live" is what its bare name means',
  args: [{ name: 'function', summary: 'NAME or NAME.NAMESPACE' }],
  async run(context) {
    const ref = await functionRefOf(context, context.parameters.required('function'));
    const { client } = await context.connect();
    const aliases = await client.aliases.list(ref, { signal: context.signal });
    context.output.result(aliases, () => formatTable(aliases, columnsFor(aliases)));
  },
});

/** Columns that would be empty in every row are left out. */
function columnsFor(aliases: readonly AliasResource[]): Column<AliasResource>[] {
  const optional: Column<AliasResource>[] = [
    { title: 'sticky by', value: describeSticky },
    { title: 'matches', value: describeMatches },
    { title: 'shadow', value: describeShadow },
    { title: 'description', value: ({ description }) => description ?? '' },
  ];
  return [
    { title: 'alias', value: ({ name }) => name },
    { title: 'calls go to', value: describeShares },
    ...optional.filter(({ value }) => aliases.some((alias) => value(alias) !== '')),
    { title: 'changed', value: ({ updatedAt }) => formatAge(updatedAt, Date.now()) },
  ];
}
