import { DEFAULT_PORT, HEALTH_PATH } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import { newShortId } from '../core/ids.ts';
import type { CodeStore, NamespaceRegistry, SecretRegistry, Version } from '../core/ports.ts';
import type { InstanceSpec } from '../engines/engine.ts';
import { watchdogEnv } from './watchdog-habits.ts';

/** What {@link describeInstance} asks. */
export interface DescribeInstanceOptions {
  readonly installation: string;
  readonly generation: string;
  readonly code: CodeStore;
  readonly secrets: SecretRegistry;
  readonly namespaces: NamespaceRegistry;
}

/**
 * Everything the engine is told to make an instance of a version, built field by field (E2), its secrets included.
 * Throws NAMESPACE_NOT_FOUND, SECRET_NOT_FOUND.
 */
export async function describeInstance(version: Version, options: DescribeInstanceOptions): Promise<InstanceSpec> {
  const { spec, limits, namespace, name } = version;
  const tenant = options.namespaces.get(namespace);
  if (!tenant) throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${namespace}"`);
  const secrets: Record<string, Uint8Array> = {};
  for (const secret of spec.secrets) secrets[secret] = await options.secrets.reveal(namespace, secret);
  return {
    id: `${name.slice(0, 32)}-${version.version}-${newShortId()}`,
    labels: {
      installation: options.installation,
      namespace,
      function: name,
      version: version.version,
      generation: options.generation,
    },
    source:
      spec.image === undefined
        ? { kind: 'code', runtime: 'node', codeDir: options.code.directory(version.code ?? '') }
        : {
            kind: 'image',
            image: spec.image,
            port: spec.port ?? DEFAULT_PORT,
            // What runs behind the server in such an image often goes by PORT, and would take its port.
            ...(spec.openfaas === undefined ? {} : { knowsPort: true as const }),
            ...(version.imageDigest === undefined ? {} : { digest: version.imageDigest }),
            ...(spec.command === undefined ? {} : { command: spec.command }),
          },
    env: {
      ...watchdogEnv(spec, namespace, name),
      ...spec.env,
      EBB_FUNCTION: name,
      EBB_NAMESPACE: namespace,
      EBB_VERSION: String(version.version),
      EBB_TIMEOUT_MS: String(limits.timeoutMs),
      EBB_HEALTH_PATH: spec.healthPath ?? HEALTH_PATH,
      ...(spec.runtime === undefined
        ? {}
        : {
            EBB_SIGNATURE: spec.signature ?? 'auto',
            ...(spec.handler === undefined ? {} : { EBB_HANDLER: spec.handler }),
          }),
    },
    secrets,
    limits: {
      memoryBytes: limits.memoryBytes,
      cpuCores: limits.cpuCores,
      pids: limits.pids,
      tmpBytes: limits.tmpBytes,
    },
    tenant: tenant.id,
    // Many images made for OpenFaaS name a user, and some none.
    user: spec.openfaas !== undefined && spec.user === 'image' ? 'image-unless-root' : spec.user,
    network: spec.network,
    readOnlyRootFilesystem: spec.readOnlyRootFilesystem,
  };
}
