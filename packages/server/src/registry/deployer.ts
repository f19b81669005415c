import { LIVE_ALIAS } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type {
  CodeStore,
  DeployGate,
  DeployInput,
  DeployOptions,
  FunctionRecord,
  NamespaceRegistry,
  SecretRegistry,
  Version,
} from '../core/ports.ts';
import type { CommitResult, KeyValue, Write } from '../store/key-value.ts';
import { decideVersionNumber } from './decide-version-number.ts';
import { findAlias, liveAlias, makeRecord, withAlias, withReplicas } from './function-record.ts';
import { functionKey, versionCounterKey, versionRecordKey } from './store-keys.ts';
import { versionDigest } from './version-digest.ts';
import { functionText, makeVersion, parseOutline, parseVersion, versionText } from './version-record.ts';

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

/** A version that was made or found, and proved if that was asked for; one that was made is stored nowhere yet. */
export interface Prepared {
  readonly version: Version;
  /** Whether it was made; else a stored one is the same. */
  readonly isNew: boolean;
  /**
   * Stores it, and points `live` at it if `serve` says so or the function is new. `current` is the function now, which
   * may have changed since. Throws NAMESPACE_NOT_FOUND, CONFLICT, STORE_FAILED.
   */
  commit(current: FunctionRecord | undefined, serve: boolean): Promise<FunctionRecord>;
  /** Lets go of what was started for it; `isStored` says whether the version stays all the same. Never throws. */
  discard(isStored: boolean): Promise<void>;
}

/** Turns deploys into versions, for one function at a time. */
export interface Deployer {
  /** The stored version of a function that is the same as the input. Throws as {@link FunctionRegistry.find} says. */
  find(input: DeployInput, current: FunctionRecord, signal?: AbortSignal): Promise<Version | undefined>;
  /**
   * Makes a version of the input, or finds the stored one that is the same; undefined when what is live is the same. Throws as {@link FunctionRegistry.put} says,
   * and then no instance of the new version is left.
   */
  prepare(
    input: DeployInput,
    current: FunctionRecord | undefined,
    options: Omit<DeployOptions, 'serve'>,
  ): Promise<Prepared | undefined>;
}

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
        `"secrets" names "${missing}", which namespace "${input.namespace}" does not have; set it first ("ebb secret set ${missing} --namespace ${input.namespace}")`,
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

  const commit = async (
    version: Version,
    current: FunctionRecord | undefined,
    serve: boolean,
    askedAt: number | undefined,
  ) => {
    const { namespace, name } = version;
    const now = clock.now();
    const record = makeLive(version, current, now, askedAt);
    const next = current === undefined || serve ? record : { ...current, updatedAt: now };
    // From here to the commit nothing is awaited: a namespace removed after this check sees the function.
    requireNamespace(namespace);
    const result = await store.commit([
      {
        kind: 'set',
        key: versionRecordKey(namespace, name, version.version),
        value: versionText(version),
        ifVersion: 0,
      },
      { kind: 'set', key: functionKey(namespace, name), value: functionText(next) },
    ]);
    requireCommitted(result, version);
    return next;
  };

  /** The stored version with that digest; of several the newest. */
  const findEqual = async ({ namespace, name }: DeployInput, digest: string): Promise<Version | undefined> => {
    const entries = await store.list(versionRecordKey(namespace, name));
    const entry = entries.findLast((one) => parseOutline(one).digest === digest);
    return entry && parseVersion(namespace, name, entry);
  };

  /** Points `live` at a version that is stored. */
  const reuse = async (
    version: Version,
    current: FunctionRecord,
    serve: boolean,
    askedAt: number | undefined,
  ): Promise<FunctionRecord> => {
    if (!serve) return current;
    const next = makeLive(version, current, clock.now(), askedAt);
    requireNamespace(version.namespace);
    await store.commit([{ kind: 'set', key: functionKey(version.namespace, version.name), value: functionText(next) }]);
    return next;
  };

  /** What the input comes to as a version. */
  const identify = async (input: DeployInput, signal: AbortSignal | undefined) => {
    signal?.throwIfAborted();
    await requireParts(input);
    const { imageDigest } = await gate.admit(input.spec, signal);
    return { imageDigest, digest: versionDigest({ spec: input.spec, code: input.code, imageDigest }) };
  };

  const discard = async (version: Version, stays: boolean): Promise<void> => {
    try {
      await gate.discard(version, { stays });
    } catch (error) {
      logger?.error({ err: error, version: version.key }, 'an instance of a failed deploy could not be stopped');
    }
  };

  return {
    async find(input, current, signal) {
      const { digest } = await identify(input, signal);
      return current.live.digest === digest ? current.live : findEqual(input, digest);
    },

    async prepare(input, current, { probe, signal, askedAt, onAdmitted }) {
      const { imageDigest, digest } = await identify(input, signal);
      onAdmitted?.();
      if (current?.live.digest === digest) return undefined;
      const { namespace, name, spec } = input;
      const equal = current && (await findEqual(input, digest));
      const makeNew = async (): Promise<Version> => {
        const number = await takeNumber(current?.live, input);
        const facts = { version: number, digest, spec, code: input.code, imageDigest, createdAt: clock.now() };
        return makeVersion(namespace, name, facts);
      };
      const version = equal ?? (await makeNew());
      const isNew = equal === undefined;
      try {
        if (probe) await gate.prove(version, signal);
        signal?.throwIfAborted();
      } catch (error) {
        if (probe) await discard(version, !isNew);
        throw error;
      }
      return {
        version,
        isNew,
        commit: (now, serve) =>
          now && !isNew ? reuse(version, now, serve, askedAt) : commit(version, now, serve, askedAt),
        discard: async (isStored) => {
          if (probe) await discard(version, isStored);
        },
      };
    },
  };
}

/** A function all of whose calls go to a new version. */
function makeLive(version: Version, current: FunctionRecord | undefined, now: number, askedAt = now): FunctionRecord {
  const { namespace, name } = version;
  const alias = liveAlias(version.version, current && findAlias(current, LIVE_ALIAS), now);
  if (current) {
    const { replicas } = current;
    // What was asked for before the deploy was meant for what served then.
    const isMeant = replicas !== undefined && replicas.askedAt >= askedAt && askedAt < now;
    return withAlias(isMeant ? current : withReplicas(current, undefined), alias, [...current.versions, version]);
  }
  return makeRecord({ namespace, name, aliases: [alias], createdAt: now, updatedAt: now }, [version]);
}

function requireCommitted(result: CommitResult, { namespace, name }: { namespace: string; name: string }): void {
  if (result.kind === 'committed') return;
  throw new EbbError('CONFLICT', `somebody else changed function "${name}" in namespace "${namespace}"; deploy again`);
}
