import { EbbError } from '../core/errors.ts';
import type { DeployInput, FunctionRecord, FunctionRegistry, RegistryChange } from '../core/ports.ts';
import type { Write } from '../store/key-value.ts';
import { createDeployer, type DeployerOptions } from './deployer.ts';
import { requireName } from './require-name.ts';
import { FUNCTIONS, functionKey, versionRecordKey, VERSIONS } from './store-keys.ts';
import { createTurns } from './turns.ts';
import { codeOf, parseFunction, parseVersion } from './version-record.ts';

/** What the registry of functions is built from. */
export type FunctionRegistryOptions = DeployerOptions;

/** The registry, and what its neighbours ask it before they remove something. */
export interface StoredFunctionRegistry extends FunctionRegistry {
  /** Name of a function of the namespace that uses the secret or is being deployed with it, or undefined. */
  secretUser(namespace: string, secret: string): string | undefined;
  /** Digests of code that a stored version, or one being deployed, refers to. */
  codeInUse(): Promise<ReadonlySet<string>>;
}

/** Opens the registry: all functions are read into memory, so that reads cost a map look-up. Throws STORE_FAILED. */
export async function createFunctionRegistry(options: FunctionRegistryOptions): Promise<StoredFunctionRegistry> {
  const { store, logger } = options;
  const deploy = createDeployer(options);
  const records = new Map<string, FunctionRecord>();
  const deploying = new Set<DeployInput>();
  const listeners = new Set<(change: RegistryChange) => void>();
  const turns = createTurns();
  let ordered: readonly FunctionRecord[] | undefined;

  for (const entry of await store.list(FUNCTIONS)) {
    const record = parseFunction(entry);
    records.set(recordKey(record.namespace, record.name), record);
  }

  const announce = (change: RegistryChange): void => {
    ordered = undefined;
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        logger?.error({ err: error }, 'a listener of the registry failed');
      }
    }
  };

  const requireRecord = (namespace: string, name: string): FunctionRecord => {
    const record = records.get(recordKey(namespace, name));
    if (record) return record;
    throw new EbbError('FUNCTION_NOT_FOUND', `there is no function "${name}" in namespace "${namespace}"`);
  };

  return {
    resolve: (namespace, name) => records.get(recordKey(namespace, name)),

    list(namespace) {
      ordered ??= [...records.values()].sort((left, right) =>
        recordKey(left.namespace, left.name) < recordKey(right.namespace, right.name) ? -1 : 1,
      );
      return namespace === undefined ? ordered : ordered.filter((record) => record.namespace === namespace);
    },

    async versions(namespace, name) {
      requireRecord(namespace, name);
      const entries = await store.list(versionRecordKey(namespace, name));
      return entries.map((entry) => parseVersion(namespace, name, entry)).reverse();
    },

    async put(input, { probe, signal }) {
      requireName(input.namespace, 'namespace');
      requireName(input.name, 'name');
      const key = recordKey(input.namespace, input.name);
      deploying.add(input);
      try {
        return await turns.run(key, async () => {
          const current = records.get(key);
          const outcome = await deploy(input, current, { probe, signal });
          if (outcome.change === 'unchanged') return outcome;
          const { live } = outcome.record;
          records.set(key, outcome.record);
          announce(current ? { kind: 'live', live, previous: current.live } : { kind: 'live', live });
          return outcome;
        });
      } finally {
        deploying.delete(input);
      }
    },

    async remove(namespace, name) {
      await turns.run(recordKey(namespace, name), async () => {
        const { live } = requireRecord(namespace, name);
        const versions = await store.list(versionRecordKey(namespace, name));
        await store.commit([
          { kind: 'delete', key: functionKey(namespace, name) },
          ...versions.map(({ key }): Write => ({ kind: 'delete', key })),
        ]);
        records.delete(recordKey(namespace, name));
        announce({ kind: 'removed', previous: live });
      });
    },

    watch(listener) {
      const own = (change: RegistryChange): void => listener(change);
      listeners.add(own);
      return {
        [Symbol.dispose]() {
          listeners.delete(own);
        },
      };
    },

    secretUser(namespace, secret) {
      const live = records.values().map((record) => ({ ...record, spec: record.live.spec }));
      return [...deploying, ...live].find((user) => user.namespace === namespace && user.spec.secrets.includes(secret))
        ?.name;
    },

    async codeInUse() {
      const digests = new Set<string>();
      const add = (digest: string | undefined): void => {
        if (digest !== undefined) digests.add(digest);
      };
      for (const entry of await store.list(VERSIONS)) add(codeOf(entry));
      for (const { live } of records.values()) add(live.code);
      for (const input of deploying) add(input.code);
      return digests;
    },
  };
}

function recordKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
