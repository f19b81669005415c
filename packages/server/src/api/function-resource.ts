import {
  type AliasResource,
  DEFAULT_NAMESPACE,
  type FunctionResource,
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
      .map(({ name, spec }) => ({ name, weight: spec.versions[key] ?? 0 })),
  };
}

function sourceOf(version: Version): Pick<VersionResource, 'code' | 'imageDigest'> {
  return {
    ...(version.code !== undefined && { code: version.code }),
    ...(version.imageDigest !== undefined && { imageDigest: version.imageDigest }),
  };
}
