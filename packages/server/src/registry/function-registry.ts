import { LIVE_ALIAS, reservedInstances, resolveLimits, type Share, SHARE_TOTAL, sharesOf } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type {
  ComingCalls,
  DeployInput,
  FunctionRecord,
  FunctionRegistry,
  RegistryChange,
  Version,
} from '../core/ports.ts';
import type { Write } from '../store/key-value.ts';
import { aliasMissing, requireAliasSpec } from './check-alias.ts';
import { KEPT_VERSIONS, type RetentionRule } from './decide-retention.ts';
import { decideReserved } from './decide-reserved.ts';
import { createDeployer, type DeployerOptions } from './deployer.ts';
import { findAlias, namedVersions, withoutAlias, withReplicas } from './function-record.ts';
import { requireName } from './require-name.ts';
import { FUNCTIONS, functionKey, versionNoteKey, versionRecordKey, VERSIONS } from './store-keys.ts';
import { createTurns } from './turns.ts';
import { createVersionActions } from './version-actions.ts';
import { createVersionCollector } from './version-collector.ts';
import { functionText, parseFunction, parseOutline, parseVersion } from './version-record.ts';

/** How long a deploy waits until the new version has the instances that its calls need. */
const DEPLOY_WARM_MS = 5_000;
/** The same for a change of weights and a rollback, which is to be in force within a second. */
const CHANGE_WARM_MS = 500;

/** What the registry of functions is built from. */
export interface FunctionRegistryOptions extends DeployerOptions {
  /** How long versions are kept that nothing needs. Default: the newest 50, for any time. */
  readonly retention?: RetentionRule;
  /** Whether a version that no alias names still has instances, queued work or a rollout, so that it must stay. */
  readonly isVersionBusy?: (version: Version) => boolean | Promise<boolean>;
  /** Whether a rollout of a function is not over; none of its versions is deleted meanwhile. */
  readonly isRollingOut?: (namespace: string, name: string) => boolean;
  /** Stops what runs of a version that is to be deleted, if none of it holds a call. */
  readonly stopIdle?: (version: Version) => Promise<void>;
  /** Most instances on the host, which no more can be reserved of. Default: any number. */
  readonly maxInstances?: number;
}

/** The registry, and what its neighbours ask it before they remove something. */
export interface StoredFunctionRegistry extends FunctionRegistry {
  /** Name of a function of the namespace that uses the secret or is being deployed with it, or undefined. */
  secretUser(namespace: string, secret: string): string | undefined;
  /** Removes the versions of all functions that are beyond the retention and that nothing needs. Throws STORE_FAILED. */
  collect(): Promise<void>;
  /** Calls at once that the functions of a namespace have reserved together. */
  reservedCalls(namespace: string): number;
  /** Digests of code that a stored version, or one being deployed, refers to. */
  codeInUse(): Promise<ReadonlySet<string>>;
}

/** Opens the registry: all functions are read into memory, so that reads cost a map look-up. Throws STORE_FAILED. */
export async function createFunctionRegistry(options: FunctionRegistryOptions): Promise<StoredFunctionRegistry> {
  const {
    store,
    logger,
    clock,
    retention = { kept: KEPT_VERSIONS },
    isVersionBusy = () => false,
    isRollingOut = () => false,
    stopIdle = async () => {},
    maxInstances = Number.POSITIVE_INFINITY,
  } = options;
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

  const reservedIn = (namespace: string) =>
    [...records.values()]
      .filter((record) => record.namespace === namespace)
      .map(({ name, live }) => ({ name, amount: live.limits.calls.reserved }));

  /** Refuses to reserve what the namespace or the host has not got. */
  const requireReservable = ({ namespace, name, spec }: DeployInput): void => {
    const amount = spec.limits?.reserved ?? 0;
    if (amount === 0) return;
    const { concurrency = Number.POSITIVE_INFINITY } = options.namespaces.get(namespace)?.limits ?? {};
    const calls = decideReserved({ name, amount }, reservedIn(namespace), concurrency);
    if (!calls.fits) {
      throw new EbbError(
        'LIMITS_INVALID',
        `"limits.reserved" is ${amount}, but namespace "${namespace}" has a "concurrency" of ${concurrency}, of which other functions leave ${calls.left}`,
      );
    }
    const own = { name: recordKey(namespace, name), amount: reservedInstances(resolveLimits(spec)) };
    const all = Array.from(records, ([key, { live }]) => ({ name: key, amount: reservedInstances(live.limits) }));
    const instances = decideReserved(own, all, maxInstances);
    if (instances.fits) return;
    throw new EbbError(
      'LIMITS_INVALID',
      `"limits.reserved" is ${amount} and needs ${own.amount} ${own.amount === 1 ? 'instance' : 'instances'}, but the server has a "maxInstances" of ${maxInstances}, of which other functions leave ${instances.left}`,
    );
  };

  /** Makes a record that is on disk the one that is answered with. */
  const swap = (previous: FunctionRecord | undefined, record: FunctionRecord): FunctionRecord => {
    records.set(recordKey(record.namespace, record.name), record);
    announce(previous ? { kind: 'changed', record, previous } : { kind: 'changed', record });
    return record;
  };

  const save = async (previous: FunctionRecord, record: FunctionRecord, more: readonly Write[] = []) => {
    const { namespace, name } = record;
    await store.commit([{ kind: 'set', key: functionKey(namespace, name), value: functionText(record) }, ...more]);
    return swap(previous, record);
  };

  const actions = createVersionActions({
    ...options,
    isVersionBusy,
    isRollingOut,
    stopIdle,
    deploys,
    changes,
    requireRecord,
    save,
  });
  const collectVersions = createVersionCollector({ store, clock, rule: retention, isVersionBusy, logger });

  /** Collects the versions of one function; in a turn of `deploys`. */
  const collectOf = async (key: string): Promise<void> => {
    const record = records.get(key);
    if (!record) return;
    try {
      await changes.run(key, () => collectVersions(records.get(key) ?? record));
    } catch (error) {
      logger?.warn({ err: error, function: key }, 'old versions could not be removed');
    }
  };

  /** Has versions start what they need for their new share of the calls of `live`; a version there is not is left out. */
  const warm = async (namespace: string, name: string, shares: readonly Share[]): Promise<void> => {
    const record = records.get(recordKey(namespace, name));
    if (!record) return;
    const coming = await Promise.all(
      shares.map(async ({ version: number, share }): Promise<ComingCalls[]> => {
        const known = record.versions.find(({ version }) => version === number);
        const version = known ?? (await actions.stored(record, number).catch(() => undefined));
        return version ? [{ version, share: share / SHARE_TOTAL }] : [];
      }),
    );
    await options.gate.warm(record, coming.flat(), CHANGE_WARM_MS);
  };

  return {
    resolve: (namespace, name) => records.get(recordKey(namespace, name)),
    hasNamespace: (namespace) => options.namespaces.get(namespace) !== undefined,

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
      return record.versions.find(({ version }) => version === number) ?? actions.stored(record, number);
    },

    async find(input, signal) {
      const record = records.get(recordKey(input.namespace, input.name));
      return record && deployer.find(input, record, signal);
    },

    async put(input, { probe, serve = true, signal, askedAt, onAdmitted }) {
      requireName(input.namespace, 'namespace');
      requireName(input.name, 'name');
      const key = recordKey(input.namespace, input.name);
      deploying.add(input);
      try {
        return await deploys.run(key, async () => {
          const before = records.get(key);
          requireReservable(input);
          const prepared = await deployer.prepare(input, before, { probe, signal, askedAt, onAdmitted });
          if (!prepared) {
            const record = requireRecord(input.namespace, input.name);
            return { record, version: record.live, change: 'unchanged' };
          }
          const { version, isNew } = prepared;
          if (probe && serve && before) await options.gate.warm(before, [{ version, share: 1 }], DEPLOY_WARM_MS);
          const commit = async () => {
            const current = records.get(key);
            // Others may have reserved something while this one was proved.
            requireReservable(input);
            return { record: swap(current, await prepared.commit(current, serve)), current };
          };
          try {
            const { record, current } = await changes.run(key, commit);
            if (!namedVersions(record).has(version.version)) await prepared.discard(true);
            if (isNew) await collectOf(key);
            return { record, version, change: !isNew && !serve ? 'unchanged' : current ? 'updated' : 'created' };
          } catch (error) {
            await prepared.discard(!isNew);
            throw error;
          }
        });
      } finally {
        deploying.delete(input);
      }
    },

    setAlias: async (namespace, name, alias, spec, options) => {
      if (alias === LIVE_ALIAS) await warm(namespace, name, sharesOf(spec.versions) ?? []);
      return changes.run(recordKey(namespace, name), async () => {
        const record = requireRecord(namespace, name);
        const numbers = requireAliasSpec(alias, spec);
        return actions.point(record, { name: alias, spec }, numbers, options);
      });
    },

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
          throw new EbbError('ALIAS_NOT_FOUND', aliasMissing(name, alias));
        }
        return save(record, withoutAlias(record, alias, clock.now()));
      }),

    async rollback(namespace, name, to) {
      const version = to ?? records.get(recordKey(namespace, name))?.before;
      if (version !== undefined) await warm(namespace, name, [{ version, share: SHARE_TOTAL }]);
      return actions.rollback(namespace, name, to);
    },
    notes: actions.notes,
    publish: actions.publish,
    removeVersion: actions.removeVersion,

    async collect() {
      for (const key of records.keys()) await deploys.run(key, () => collectOf(key));
    },

    setReplicas: (namespace, name, count) =>
      changes.run(recordKey(namespace, name), async () => {
        const record = requireRecord(namespace, name);
        const replicas = count === undefined ? undefined : { count, askedAt: clock.now() };
        return save(record, withReplicas(record, replicas));
      }),

    async remove(namespace, name) {
      const key = recordKey(namespace, name);
      const removeNow = async () => {
        const previous = requireRecord(namespace, name);
        const versions = await store.list(versionRecordKey(namespace, name));
        const notes = await store.list(versionNoteKey(namespace, name));
        await store.commit([
          { kind: 'delete', key: functionKey(namespace, name) },
          ...[...versions, ...notes].map((entry): Write => ({ kind: 'delete', key: entry.key })),
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
      return [...deploying, ...actions.claimed, ...serving].find(
        (user) => user.namespace === namespace && user.spec.secrets.includes(secret),
      )?.name;
    },

    reservedCalls: (namespace) => reservedIn(namespace).reduce((sum, { amount }) => sum + amount, 0),

    async codeInUse() {
      const digests = new Set<string>();
      const add = (digest: string | undefined): void => {
        if (digest !== undefined) digests.add(digest);
      };
      for (const entry of await store.list(VERSIONS)) add(parseOutline(entry).code);
      for (const { versions } of records.values()) for (const { code } of versions) add(code);
      for (const input of deploying) add(input.code);
      return digests;
    },
  };
}

function recordKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
