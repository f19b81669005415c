import { LIVE_ALIAS } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type { DeployInput, FunctionRecord, FunctionRegistry, RegistryChange, Version } from '../core/ports.ts';
import type { Write } from '../store/key-value.ts';
import { requireAliasSpec } from './check-alias.ts';
import { createDeployer, type DeployerOptions } from './deployer.ts';
import { findAlias, withAlias, withBefore, withoutAlias } from './function-record.ts';
import { requireName } from './require-name.ts';
import { FUNCTIONS, functionKey, versionRecordKey, VERSIONS } from './store-keys.ts';
import { createTurns } from './turns.ts';
import { codeOf, functionText, parseFunction, parseVersion } from './version-record.ts';

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
  const { store, logger, clock } = options;
  const deployer = createDeployer(options);
  const records = new Map<string, FunctionRecord>();
  const deploying = new Set<DeployInput>();
  const listeners = new Set<(change: RegistryChange) => void>();
  // A deploy may take as long as its first instance does; what an alias says is changed at once all the same.
  const deploys = createTurns();
  const changes = createTurns();
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

  /** Makes a record that is on disk the one that is answered with. */
  const swap = (previous: FunctionRecord | undefined, record: FunctionRecord): FunctionRecord => {
    records.set(recordKey(record.namespace, record.name), record);
    announce(previous ? { kind: 'changed', record, previous } : { kind: 'changed', record });
    return record;
  };

  const save = async (previous: FunctionRecord, record: FunctionRecord): Promise<FunctionRecord> => {
    await store.commit([{ kind: 'set', key: functionKey(record.namespace, record.name), value: functionText(record) }]);
    return swap(previous, record);
  };

  const storedVersion = async ({ namespace, name }: FunctionRecord, number: number): Promise<Version> => {
    const entry = await store.get(versionRecordKey(namespace, name, number));
    if (entry) return parseVersion(namespace, name, entry);
    throw new EbbError(
      'VERSION_NOT_FOUND',
      `function "${name}" has no version ${number}; "ebb versions ${name}" lists those there are`,
    );
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

    async version(namespace, name, number) {
      const record = requireRecord(namespace, name);
      return record.versions.find(({ version }) => version === number) ?? storedVersion(record, number);
    },

    async put(input, { probe, serve = true, signal }) {
      requireName(input.namespace, 'namespace');
      requireName(input.name, 'name');
      const key = recordKey(input.namespace, input.name);
      deploying.add(input);
      try {
        return await deploys.run(key, async () => {
          const before = records.get(key);
          const prepared = await deployer.prepare(input, before, { probe, signal });
          if (!prepared) {
            const record = requireRecord(input.namespace, input.name);
            return { record, version: record.live, change: 'unchanged' };
          }
          const { version } = prepared;
          try {
            const { record, current } = await changes.run(key, async () => {
              const current = records.get(key);
              return { record: swap(current, await prepared.commit(current, serve)), current };
            });
            return { record, version, change: current ? 'updated' : 'created' };
          } catch (error) {
            await prepared.discard();
            throw error;
          }
        });
      } finally {
        deploying.delete(input);
      }
    },

    setAlias: (namespace, name, alias, spec, options) =>
      changes.run(recordKey(namespace, name), async () => {
        const record = requireRecord(namespace, name);
        const numbers = requireAliasSpec(alias, spec);
        const known = new Map(record.versions.map((version) => [version.version, version]));
        for (const number of numbers) if (!known.has(number)) known.set(number, await storedVersion(record, number));
        const next = withAlias(record, { name: alias, spec, updatedAt: clock.now() }, known.values());
        return save(record, options ? withBefore(next, options.before) : next);
      }),

    removeAlias: (namespace, name, alias) =>
      changes.run(recordKey(namespace, name), async () => {
        const record = requireRecord(namespace, name);
        if (alias === LIVE_ALIAS) {
          throw new EbbError(
            'ALIAS_REQUIRED',
            `the alias "${LIVE_ALIAS}" is what "${name}" means; it cannot be removed`,
          );
        }
        if (!findAlias(record, alias)) {
          throw new EbbError('ALIAS_NOT_FOUND', `function "${name}" has no alias "${alias}"`);
        }
        return save(record, withoutAlias(record, alias, clock.now()));
      }),

    async remove(namespace, name) {
      const key = recordKey(namespace, name);
      const removeNow = async () => {
        const previous = requireRecord(namespace, name);
        const versions = await store.list(versionRecordKey(namespace, name));
        await store.commit([
          { kind: 'delete', key: functionKey(namespace, name) },
          ...versions.map((entry): Write => ({ kind: 'delete', key: entry.key })),
        ]);
        records.delete(key);
        announce({ kind: 'removed', previous });
      };
      await deploys.run(key, () => changes.run(key, removeNow));
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
      const serving = records.values().flatMap(({ versions }) => versions);
      return [...deploying, ...serving].find(
        (user) => user.namespace === namespace && user.spec.secrets.includes(secret),
      )?.name;
    },

    async codeInUse() {
      const digests = new Set<string>();
      const add = (digest: string | undefined): void => {
        if (digest !== undefined) digests.add(digest);
      };
      for (const entry of await store.list(VERSIONS)) add(codeOf(entry));
      for (const { versions } of records.values()) for (const { code } of versions) add(code);
      for (const input of deploying) add(input.code);
      return digests;
    },
  };
}

function recordKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
