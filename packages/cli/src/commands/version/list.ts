import type { VersionResource } from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { type Column, formatTable } from '../../terminal/table.ts';
import { describeAliases } from '../../traffic/describe-alias.ts';

/** Shows the versions of a function, newest first. Exits 3 when there is no such function. */
export const listVersionsCommand = defineCommand({
  name: 'version list',
  aliases: ['version ls', 'versions'],
  summary: 'show the versions of a function and which of them get calls',
  args: [{ name: 'function', summary: 'NAME or NAME.NAMESPACE' }],
  async run(context) {
    const ref = await functionRefOf(context, context.parameters.required('function'));
    const { client } = await context.connect();
    const versions = await client.functions.versions(ref, { signal: context.signal });
    context.output.result(versions, () => formatTable(versions, columnsFor(versions)));
  },
});

function columnsFor(versions: readonly VersionResource[]): Column<VersionResource>[] {
  const optional: Column<VersionResource>[] = [{ title: 'description', value: ({ description }) => description ?? '' }];
  return [
    { title: 'version', value: ({ version }) => version, align: 'right' },
    { title: 'gets calls of', value: describeAliases },
    { title: 'runs', value: ({ spec }) => spec.image ?? spec.runtime ?? '' },
    { title: 'digest', value: ({ digest }) => digest.slice(0, 'sha256:'.length + 12) },
    { title: 'made', value: ({ createdAt }) => formatAge(createdAt, Date.now()) },
    ...optional.filter(({ value }) => versions.some((version) => value(version) !== '')),
  ];
}
