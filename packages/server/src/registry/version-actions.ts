import { type AliasSpec, LIVE_ALIAS, versionsOf } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { FunctionRecord, FunctionRegistry, SecretRegistry, Version } from '../core/ports.ts';
import type { KeyValue, Write } from '../store/key-value.ts';
import { requireAliasName } from './check-alias.ts';
import { findAlias, liveAlias, namedVersions, wholeAlias, withAlias, withBefore } from './function-record.ts';
import { versionNoteKey, versionRecordKey } from './store-keys.ts';
import type { Turns } from './turns.ts';
import { noteText, parseNote, parseVersion } from './version-record.ts';

/** What acts on the versions of functions is made of; all but the store is the registry's own. */
export interface VersionActionsOptions {
  readonly store: KeyValue;
  readonly secrets: Pick<SecretRegistry, 'has'>;
  readonly clock: Clock;
  /** Whether a version that no alias names still has instances, queued work or a rollout. */
  readonly isVersionBusy: (version: Version) => boolean | Promise<boolean>;
  /** Whether a rollout of the function is not over. */
  readonly isRollingOut: (namespace: string, name: string) => boolean;
  /** Stops what runs of a version that no alias names, if none of it holds a call. */
  readonly stopIdle: (version: Version) => Promise<void>;
  readonly deploys: Turns;
  readonly changes: Turns;
  /** Throws FUNCTION_NOT_FOUND. */
  readonly requireRecord: (namespace: string, name: string) => FunctionRecord;
  /** Commits the record with more writes, then makes it the one that is answered with. */
  readonly save: (previous: FunctionRecord, record: FunctionRecord, more?: readonly Write[]) => Promise<FunctionRecord>;
}

/** Changes of what is stored besides deploys. */
export interface VersionActions extends Pick<FunctionRegistry, 'rollback' | 'notes' | 'publish' | 'removeVersion'> {
  /** A stored version. Throws VERSION_NOT_FOUND, STORE_FAILED. */
  stored(record: FunctionRecord, number: number): Promise<Version>;
  /** Points an alias; in a turn of {@link VersionActionsOptions.changes}. Throws as `setAlias` of the registry. */
  point(
    record: FunctionRecord,
    alias: { readonly name: string; readonly spec: AliasSpec },
    numbers: Iterable<number>,
    more?: {
      /** Committed with it. */
      readonly writes?: readonly Write[];
      /** Says what a rollback goes back to from now on, instead of what follows from the change. */
      readonly before?: number | undefined;
    },
  ): Promise<FunctionRecord>;
  /** Versions that are about to be named by an alias: they count as serving already. */
  readonly claimed: ReadonlySet<Version>;
}

/** Makes what acts on versions for a registry. */
export function createVersionActions(options: VersionActionsOptions): VersionActions {
  const { store, secrets, clock, isVersionBusy, isRollingOut, stopIdle, deploys, changes, requireRecord, save } =
    options;
  const claimed = new Set<Version>();

  const stored = async ({ namespace, name }: FunctionRecord, number: number): Promise<Version> => {
    const entry = await store.get(versionRecordKey(namespace, name, number));
    if (entry) return parseVersion(namespace, name, entry);
    throw new EbbError(
      'VERSION_NOT_FOUND',
      `function "${name}" has no version ${number}; "ebb versions ${name}" lists those there are`,
    );
  };

  const requireSecrets = async ({ namespace, name, version, spec }: Version): Promise<void> => {
    for (const secret of spec.secrets) {
      if (await secrets.has(namespace, secret)) continue;
      throw new EbbError(
        'SECRET_NOT_FOUND',
        `version ${version} of "${name}" needs the secret "${secret}", which namespace "${namespace}" has no longer; set it again first`,
      );
    }
  };

  const point: VersionActions['point'] = async (record, alias, numbers, more = {}) => {
    const known = new Map(record.versions.map((version) => [version.version, version]));
    const added: Version[] = [];
    for (const number of numbers) if (!known.has(number)) added.push(await stored(record, number));
    // From before its secrets are looked for until it serves: none of them can be removed in between.
    for (const version of added) claimed.add(version);
    try {
      for (const version of added) await requireSecrets(version);
      const next = { ...alias, updatedAt: clock.now() };
      const pointed = withAlias(record, next, [...known.values(), ...added]);
      return await save(record, 'before' in more ? withBefore(pointed, more.before) : pointed, more.writes);
    } finally {
      for (const version of added) claimed.delete(version);
    }
  };

  const requireUnused = async (record: FunctionRecord, version: Version): Promise<void> => {
    const { namespace, name } = record;
    const refuse = (why: string): never => {
      throw new EbbError('VERSION_IN_USE', `version ${version.version} of "${name}" cannot be deleted: ${why}`);
    };
    if (isRollingOut(namespace, name)) {
      refuse(`a rollout of "${name}" has to end first; "ebb rollout status ${name}" shows how it stands`);
    }
    const alias = record.aliases.find((one) => namedVersions({ aliases: [one] }).has(version.version));
    if (alias) refuse(`the alias "${alias.name}" names it; point that elsewhere first`);
    if (record.before === version.version) refuse(`"ebb rollback ${name}" goes back to it`);
    await stopIdle(version);
    if (await isVersionBusy(version))
      refuse('it still has calls, or instances that have not ended; try again in a moment');
  };

  return {
    claimed,
    stored,
    point,

    rollback: (namespace, name, to) =>
      changes.run(`${namespace}/${name}`, async () => {
        const record = requireRecord(namespace, name);
        const target = to ?? record.before;
        if (target === undefined) {
          throw new EbbError(
            'NOTHING_TO_ROLL_BACK',
            `no version of "${name}" had all calls before version ${record.live.version}; say which one to go to`,
          );
        }
        const current = findAlias(record, LIVE_ALIAS);
        const reached = current ? versionsOf(current.spec) : new Set();
        if (reached.size === 1 && reached.has(target)) {
          throw new EbbError('NOTHING_TO_ROLL_BACK', `every call of "${name}" goes to version ${target} already`);
        }
        return point(record, liveAlias(target, current, clock.now()), [target]);
      }),

    async notes(namespace, name) {
      requireRecord(namespace, name);
      const prefix = versionNoteKey(namespace, name);
      const entries = await store.list(prefix);
      return new Map(entries.map((entry) => [Number(entry.key.slice(prefix.length)), parseNote(entry)]));
    },

    publish: (namespace, name, number, { description, alias }) =>
      changes.run(`${namespace}/${name}`, async () => {
        const record = requireRecord(namespace, name);
        if (alias !== undefined) requireAliasName(alias);
        await stored(record, number);
        const key = versionNoteKey(namespace, name, number);
        const entry = await store.get(key);
        const said = description ?? (entry && parseNote(entry).description);
        const note = { publishedAt: clock.now(), ...(said === undefined ? {} : { description: said }) };
        const write: Write = { kind: 'set', key, value: noteText(note) };
        if (alias === undefined) {
          await store.commit([write]);
          return record;
        }
        const next = wholeAlias(alias, number, findAlias(record, alias), clock.now());
        return point(record, next, [number], { writes: [write] });
      }),

    removeVersion(namespace, name, number) {
      const key = `${namespace}/${name}`;
      const removeNow = async () => {
        const record = requireRecord(namespace, name);
        await requireUnused(record, await stored(record, number));
        await store.commit([
          { kind: 'delete', key: versionRecordKey(namespace, name, number) },
          { kind: 'delete', key: versionNoteKey(namespace, name, number) },
        ]);
      };
      // A deploy under way may be about to make a stored version live.
      return deploys.run(key, () => changes.run(key, removeNow));
    },
  };
}
