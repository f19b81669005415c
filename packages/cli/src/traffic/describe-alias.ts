import type { AliasResource, VersionResource } from '@ebb/contract';

/** The aliases that lead to a version, such as "live 90 %, beta, tests match"; copies are "live shadow". */
export function describeAliases({ aliases }: Pick<VersionResource, 'aliases'>): string {
  return aliases
    .map(({ name, weight, also }) => {
      const share = weight > 0 || also.length === 0 ? [`${weight} %`] : [];
      return weight === 100 ? name : `${name} ${[...share, ...also].join(' + ')}`;
    })
    .join(', ');
}

/** The shares of an alias, such as "90 % to 7, 10 % to 8". */
export function describeShares({ versions }: Pick<AliasResource, 'versions'>): string {
  const shares = Object.entries(versions).filter(([, weight]) => weight > 0);
  if (shares.length === 1) return `version ${shares[0]?.[0] ?? ''}`;
  return shares
    .toSorted(([, left], [, right]) => right - left)
    .map(([version, weight]) => `${weight} % to ${version}`)
    .join(', ');
}

/** What keeps clients on their side, such as "header X-User"; empty for nothing. */
export function describeSticky({ sticky }: Pick<AliasResource, 'sticky'>): string {
  if (!sticky) return '';
  return sticky.name === undefined ? sticky.by : `${sticky.by} ${sticky.name}`;
}

/** What is sent to a version ahead of the shares, such as "header X-Tester=1 to 8". */
export function describeMatches({ match }: Pick<AliasResource, 'match'>): string {
  return match
    .map(({ header, cookie, value, version }) => {
      const what = header === undefined ? `cookie ${cookie ?? ''}` : `header ${header}`;
      return `${what}${value === undefined ? '' : `=${value}`} to ${version}`;
    })
    .join(', ');
}

/** Which version gets copies of which share of the calls; empty for none. */
export function describeShadow({ shadow }: Pick<AliasResource, 'shadow'>): string {
  if (!shadow) return '';
  return shadow.percent === 100 ? String(shadow.version) : `${shadow.percent} % to ${shadow.version}`;
}
