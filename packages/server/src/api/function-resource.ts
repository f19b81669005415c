import {
  type AliasResource,
  DEFAULT_NAMESPACE,
  type DeployResource,
  type FunctionResource,
  LIVE_ALIAS,
  type VersionResource,
  versionsOf,
} from '@ebb/contract';
import type { Alias, FunctionRecord, InstanceDirectory, Version, VersionNote } from '../core/ports.ts';

/** A function as the API shows it. */
export function showFunction(record: FunctionRecord, instances: InstanceDirectory): FunctionResource {
  const { live, namespace, name } = record;
  return {
    namespace,
    name,
    version: live.version,
    versionCreatedAt: new Date(live.createdAt).toISOString(),
    ...(record.before !== undefined && { before: record.before }),
    aliases: record.aliases.map(showAlias),
    spec: live.spec,
    ...sourceOf(live),
    ...instances.functionState(live),
    path: `/function/${name}${namespace === DEFAULT_NAMESPACE ? '' : `.${namespace}`}`,
    createdAt: new Date(record.createdAt).toISOString(),
    updatedAt: new Date(record.updatedAt).toISOString(),
  };
}

/** An alias as the API shows it. */
export function showAlias({ name, spec, updatedAt }: Alias): AliasResource {
  return { ...spec, name, updatedAt: new Date(updatedAt).toISOString() };
}

/** A version as the API shows it; `note` is what was said of it. */
export function showVersion(
  version: Version,
  { live, aliases }: Pick<FunctionRecord, 'live' | 'aliases'>,
  note?: VersionNote,
): VersionResource {
  const key = String(version.version);
  return {
    version: version.version,
    digest: version.digest,
    spec: version.spec,
    ...sourceOf(version),
    createdAt: new Date(version.createdAt).toISOString(),
    ...(note?.description !== undefined && { description: note.description }),
    ...(note && { publishedAt: new Date(note.publishedAt).toISOString() }),
    live: version.version === live.version,
    aliases: aliases
      .filter(({ spec }) => versionsOf(spec).has(version.version))
      .map(({ name, spec }) => ({ name, weight: spec.versions[key] ?? 0, also: besides(spec, version.version) })),
  };
}

/** What of an alias leads to a version besides the weights. */
function besides({ match, shadow }: Alias['spec'], number: number): ('match' | 'shadow')[] {
  return [
    ...(match.some(({ version }) => version === number) ? (['match'] as const) : []),
    ...(shadow?.version === number ? (['shadow'] as const) : []),
  ];
}

/** What `live` matched and copied in `previous` and does no longer in `record`; undefined when that is nothing. */
export function showEnded(previous: FunctionRecord | undefined, record: FunctionRecord): DeployResource['ended'] {
  const [was, is] = [previous, record].map((one) => one?.aliases.find(({ name }) => name === LIVE_ALIAS)?.spec);
  if (!was || !is) return undefined;
  const match = is.match.length > 0 ? [] : was.match;
  const shadow = is.shadow ? undefined : was.shadow;
  return match.length === 0 && !shadow ? undefined : { match, ...(shadow && { shadow }) };
}

function sourceOf(version: Version): Pick<VersionResource, 'code' | 'imageDigest'> {
  return {
    ...(version.code !== undefined && { code: version.code }),
    ...(version.imageDigest !== undefined && { imageDigest: version.imageDigest }),
  };
}
