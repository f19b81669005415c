import type { FunctionResource, RolloutResource } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';
import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { namespaceOf } from '../../core/function-ref.ts';
import { findRollout } from '../../rollout/find-rollout.ts';
import { type Column, formatTable } from '../../terminal/table.ts';

/** Shows the functions of a namespace, or of all. */
export const listCommand = defineCommand({
  name: 'function list',
  aliases: ['function ls', 'list', 'ls'],
  summary: 'show the functions',
  options: [{ flags: '-A, --all-namespaces', summary: 'show those of every namespace' }],
  async run(context) {
    const { parameters, output, signal } = context;
    const namespace = await namespaceOf(context);
    const { client, url } = await context.connect();
    const isAll = parameters.flag('allNamespaces');
    const namespaces = isAll ? (await client.namespaces.list({ signal })).map(({ name }) => name) : [namespace];
    const lists = await Promise.all(namespaces.map((name) => client.functions.list(name, { signal })));
    const functions = lists.flat();
    const rollouts = await runningRollouts(client, functions, signal);
    if (functions.length === 0)
      output.note(`no functions in ${namespaces.join(', ')}; "ebb new hello" makes a first one`);
    output.result(functions, () =>
      functions.length === 0 ? undefined : formatTable(functions, columns(isAll, url, rollouts)),
    );
  },
});

/** The rollouts that run, by function. Each names both of its versions in `live`, so most functions need not be asked about. */
async function runningRollouts(
  client: EbbClient,
  functions: readonly FunctionResource[],
  signal: AbortSignal,
): Promise<ReadonlyMap<FunctionResource, RolloutResource>> {
  const maybe = functions.filter(({ aliases }) =>
    aliases.some(({ name, versions }) => name === 'live' && Object.keys(versions).length > 1),
  );
  const found = new Map<FunctionResource, RolloutResource>();
  for (const one of maybe) {
    const rollout = await findRollout(client, one, signal);
    if (rollout && rollout.endedAt === undefined) found.set(one, rollout);
  }
  return found;
}

function columns(
  showNamespace: boolean,
  url: string,
  rollouts: ReadonlyMap<FunctionResource, RolloutResource>,
): Column<FunctionResource>[] {
  const rolloutOf = (item: FunctionResource) => {
    const rollout = rollouts.get(item);
    return rollout ? `${rollout.from} to ${rollout.to}, ${rollout.weight} %` : '';
  };
  return [
    { title: 'name', value: (item) => item.name },
    ...(showNamespace ? [{ title: 'namespace', value: (item: FunctionResource) => item.namespace }] : []),
    { title: 'runs', value: (item) => item.spec.image ?? item.spec.runtime ?? '' },
    { title: 'version', value: (item) => item.version, align: 'right' },
    ...(rollouts.size > 0 ? [{ title: 'rollout', value: rolloutOf }] : []),
    { title: 'state', value: (item) => item.state },
    { title: 'instances', value: (item) => item.instances, align: 'right' },
    { title: 'deployed', value: (item) => formatAge(item.versionCreatedAt, Date.now()) },
    { title: 'address', value: (item) => `${url}${item.path}` },
  ];
}
