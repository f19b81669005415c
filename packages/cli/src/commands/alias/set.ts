import type { AliasResource, AliasSpecInput } from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { describeMatches, describeShares, describeSticky } from '../../traffic/describe-alias.ts';

/** Makes an alias, or changes what is said of one and leaves the rest. */
export const setAliasCommand = defineCommand({
  name: 'alias set',
  summary: 'point an alias at a version, or split its calls between several',
  args: [
    { name: 'function', summary: 'NAME or NAME.NAMESPACE' },
    { name: 'alias', summary: 'name of the alias; "live" is what the bare name means' },
    { name: 'split', summary: 'VERSION, or VERSION=PERCENT for several; default: as it is', kind: 'many' },
  ],
  options: [
    { flags: '--sticky <by>', summary: 'keep a client on its side: cookie[:NAME], header:NAME, client or none' },
    {
      flags: '--match <rule>',
      summary: 'send calls to a version ahead of the shares: header:NAME[=VALUE]:VERSION, cookie:..., or none',
      repeats: true,
    },
    { flags: '--shadow <version>', summary: 'send copies of calls to VERSION or VERSION=PERCENT; none for no copies' },
    { flags: '--description <text>', summary: 'what the alias is for' },
  ],
  examples: [
    'ebb alias set hello live 7=90 8=10 --sticky cookie',
    'ebb alias set hello live 7 --match header:X-Tester=1:8',
    'ebb alias set hello beta 8',
  ],
  async run(context) {
    const { parameters, output, signal } = context;
    const { parseAliasOptions } = await import('../../traffic/parse-alias-options.ts');
    const ref = await functionRefOf(context, parameters.required('function'));
    const name = parameters.required('alias');
    const { client } = await context.connect();
    const current = (await client.aliases.list(ref, { signal })).find((alias) => alias.name === name);
    const spec = parseAliasOptions(parameters, current && specOf(current));
    const alias = await client.aliases.set(ref, name, spec, { signal });
    output.result(alias, () => `${ref.name}:${alias.name} sends ${describeTarget(alias)}`);
    const { versions, shadow } = alias;
    if (shadow && (versions[shadow.version] ?? 0) > 0) {
      output.warn(`version ${shadow.version} gets calls itself, and no copies as long as it does`);
    }
  },
});

function specOf({ name: _name, updatedAt: _updatedAt, ...spec }: AliasResource): AliasSpecInput {
  return spec;
}

function describeTarget(alias: AliasResource): string {
  const shares = describeShares(alias);
  const [sticky, matches] = [describeSticky(alias), describeMatches(alias)];
  return [
    `calls to ${shares.startsWith('version') ? shares : `several versions: ${shares}`}`,
    ...(sticky === '' ? [] : [`keeps clients by ${sticky}`]),
    ...(matches === '' ? [] : [`matches ${matches}`]),
    ...(alias.shadow ? [`copies ${alias.shadow.percent} % of the calls to ${alias.shadow.version}`] : []),
  ].join(', ');
}
