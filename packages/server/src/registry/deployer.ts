import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type {
  CodeStore,
  DeployGate,
  DeployInput,
  DeployOutcome,
  FunctionRecord,
  NamespaceRegistry,
  SecretRegistry,
  Version,
} from '../core/ports.ts';
import type { CommitResult, KeyValue, Write } from '../store/key-value.ts';
import { decideVersionNumber } from './decide-version-number.ts';
import { decideRetention } from './decide-retention.ts';
import { functionKey, versionCounterKey, versionRecordKey } from './store-keys.ts';
import { versionDigest } from './version-digest.ts';
import { functionText, makeVersion, versionText } from './version-record.ts';

/** What a deploy is checked against and stored in. */
export interface DeployerOptions {
  readonly store: KeyValue;
  readonly namespaces: Pick<NamespaceRegistry, 'get'>;
  readonly secrets: Pick<SecretRegistry, 'has'>;
  readonly code: Pick<CodeStore, 'has'>;
  readonly gate: DeployGate;
  readonly clock: Clock;
  readonly logger?: Logger | undefined;
}

/** How a deploy is to be done. */
export interface DeployOptions {
  readonly probe: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Turns a deploy into a stored version; the caller makes it live in memory. `current` is what serves now. It throws
 * as {@link FunctionRegistry.put} says, and then neither a record nor an instance of the new version is left.
 */
export type Deployer = (
  input: DeployInput,
  current: FunctionRecord | undefined,
  options: DeployOptions,
) => Promise<DeployOutcome>;

/** Makes the deployer of a registry, which calls it for one function at a time. */
export function createDeployer(options: DeployerOptions): Deployer {
  const { store, namespaces, secrets, code, gate, clock, logger } = options;

  const requireNamespace = (namespace: string): void => {
    if (namespaces.get(namespace)) return;
    throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${namespace}"; create it, or deploy to another`);
  };

  const requireParts = async (input: DeployInput): Promise<void> => {
    requireNamespace(input.namespace);
    const present = await Promise.all(input.spec.secrets.map((secret) => secrets.has(input.namespace, secret)));
    const missing = input.spec.secrets.find((_secret, index) => !present[index]);
    if (missing !== undefined) {
      throw new EbbError(
        'SECRET_NOT_FOUND',
        `"secrets" names "${missing}", which namespace "${input.namespace}" does not have`,
      );
    }
    if (input.code === undefined ? input.spec.runtime !== undefined : !code.has(input.code)) {
      throw new EbbError(
        'CODE_NOT_FOUND',
        `"code" is ${input.code ?? 'missing'}, which was not uploaded; upload the code first`,
      );
    }
  };

  /** Takes the number for good before anything is started under it; a crash in between must not free it again. */
  const takeNumber = async (live: Version | undefined, { namespace, name }: DeployInput): Promise<number> => {
    const key = versionCounterKey(namespace, name);
    const counter = await store.get(key);
    const version = decideVersionNumber(live?.version, Number(counter?.value ?? 0));
    const write: Write = { kind: 'set', key, value: String(version), ifVersion: counter?.version ?? 0 };
    requireCommitted(await store.commit([write]), { namespace, name });
    return version;
  };

  const commit = async (record: FunctionRecord): Promise<void> => {
    const { namespace, name, live } = record;
    const prefix = versionRecordKey(namespace, name);
    const stored = (await store.list(prefix)).map(({ key }) => Number(key.slice(prefix.length)));
    const dropped = decideRetention([...stored, live.version], live.version);
    // From here to the commit nothing is awaited: a namespace removed after this check sees the function.
    requireNamespace(namespace);
    const result = await store.commit([
      { kind: 'set', key: versionRecordKey(namespace, name, live.version), value: versionText(live), ifVersion: 0 },
      { kind: 'set', key: functionKey(namespace, name), value: functionText(record) },
      ...dropped.map((version): Write => ({ kind: 'delete', key: versionRecordKey(namespace, name, version) })),
    ]);
    requireCommitted(result, record);
  };

  const discard = async (version: Version): Promise<void> => {
    try {
      await gate.discard(version);
    } catch (error) {
      logger?.error({ err: error, version: version.key }, 'an instance of a failed deploy could not be stopped');
    }
  };

  return async (input, current, { probe, signal }) => {
    signal?.throwIfAborted();
    await requireParts(input);
    const { imageDigest } = await gate.admit(input.spec, signal);
    const digest = versionDigest({ spec: input.spec, code: input.code, imageDigest });
    if (current && current.live.digest === digest) return { record: current, change: 'unchanged' };

    const { namespace, name, spec } = input;
    const version = await takeNumber(current?.live, input);
    const now = clock.now();
    const facts = { version, digest, spec, code: input.code, imageDigest, createdAt: now };
    const live = makeVersion(namespace, name, facts);
    const record = { namespace, name, live, createdAt: current?.createdAt ?? now, updatedAt: now };
    try {
      if (probe) await gate.prove(live, signal);
      signal?.throwIfAborted();
      await commit(record);
    } catch (error) {
      if (probe) await discard(live);
      throw error;
    }
    return { record, change: current ? 'updated' : 'created' };
  };
}

function requireCommitted(result: CommitResult, { namespace, name }: { namespace: string; name: string }): void {
  if (result.kind === 'committed') return;
  throw new EbbError('CONFLICT', `somebody else changed function "${name}" in namespace "${namespace}"; deploy again`);
}
