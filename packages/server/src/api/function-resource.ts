import { DEFAULT_NAMESPACE, type FunctionResource, type VersionResource } from '@ebb/contract';
import type { FunctionRecord, InstanceDirectory, Version } from '../core/ports.ts';

/** A function as the API shows it. */
export function showFunction(record: FunctionRecord, instances: InstanceDirectory): FunctionResource {
  const { live, namespace, name } = record;
  return {
    namespace,
    name,
    version: live.version,
    spec: live.spec,
    ...sourceOf(live),
    ...instances.functionState(live),
    path: `/function/${name}${namespace === DEFAULT_NAMESPACE ? '' : `.${namespace}`}`,
    createdAt: new Date(record.createdAt).toISOString(),
    updatedAt: new Date(record.updatedAt).toISOString(),
  };
}

/** A version as the API shows it. */
export function showVersion(version: Version, live: number): VersionResource {
  return {
    version: version.version,
    digest: version.digest,
    spec: version.spec,
    ...sourceOf(version),
    createdAt: new Date(version.createdAt).toISOString(),
    live: version.version === live,
  };
}

function sourceOf(version: Version): Pick<VersionResource, 'code' | 'imageDigest'> {
  return {
    ...(version.code !== undefined && { code: version.code }),
    ...(version.imageDigest !== undefined && { imageDigest: version.imageDigest }),
  };
}
