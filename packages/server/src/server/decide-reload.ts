import type { Config } from '../config/config-schema.ts';

/** A setting by its key in {@link Config}. */
export type ConfigKey = keyof Config;

/** Settings that take effect while the server runs. */
const RELOADABLE: ReadonlySet<ConfigKey> = new Set<ConfigKey>([
  'logLevel',
  'maxInstances',
  'maxConcurrentStarts',
  'memoryBudgetBytes',
  'maxFrozenBytes',
  'poolSize',
  'drainTimeoutMs',
]);

/** What reading the settings again comes to. */
export interface ReloadDecision {
  /** The settings to go on with: new where that is possible, else as they were. */
  readonly next: Config;
  /** What changes now. */
  readonly now: readonly ConfigKey[];
  /** What was changed but holds only after a restart. */
  readonly later: readonly ConfigKey[];
}

/** Compares settings that were read again with those in force. */
export function decideReload(current: Config, read: Config): ReloadDecision {
  const keys = Object.keys(read) as ConfigKey[];
  const changed = keys.filter((key) => JSON.stringify(current[key]) !== JSON.stringify(read[key]));
  const now = changed.filter((key) => RELOADABLE.has(key));
  const taken = Object.fromEntries(now.map((key) => [key, read[key]]));
  return {
    next: { ...current, ...(taken as Partial<Config>) },
    now,
    later: changed.filter((key) => !RELOADABLE.has(key)),
  };
}
