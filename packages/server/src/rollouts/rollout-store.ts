import { ROLLOUTS, rolloutKey } from '../registry/store-keys.ts';
import type { KeyValue } from '../store/key-value.ts';
import { isRunning, parseRollout, type RolloutRecord } from './rollout-record.ts';

/** Rollouts of a function that are kept. */
const KEPT = 20;

/** Rollouts on disk. Everything throws STORE_FAILED. */
export interface RolloutStore {
  /** Puts a rollout on disk, in place of what it was before. */
  save(record: RolloutRecord): Promise<void>;
  /** The rollouts of a function, oldest first. */
  list(namespace: string, name: string): Promise<readonly RolloutRecord[]>;
  /** Those of all functions that are not over. What cannot be read is told and left out: it must not keep a server down. */
  running(onUnreadable: (key: string, error: unknown) => void): Promise<readonly RolloutRecord[]>;
  /** The number of a function's next rollout; drops the oldest so that 20 stay with it. */
  nextId(namespace: string, name: string): Promise<number>;
  /** Forgets the rollouts of a removed function. */
  forget(namespace: string, name: string): Promise<void>;
}

/** Keeps rollouts in a store. */
export function createRolloutStore(store: KeyValue): RolloutStore {
  const remove = async (keys: readonly string[]): Promise<void> => {
    if (keys.length > 0) await store.commit(keys.map((key) => ({ kind: 'delete', key })));
  };
  const entries = (namespace: string, name: string) => store.list(rolloutKey(namespace, name));
  return {
    async save(record) {
      const key = rolloutKey(record.namespace, record.name, record.id);
      await store.commit([{ kind: 'set', key, value: JSON.stringify(record) }]);
    },
    list: async (namespace, name) => (await entries(namespace, name)).map(parseRollout),
    async running(onUnreadable) {
      const records = (await store.list(ROLLOUTS)).flatMap((entry) => {
        try {
          return [parseRollout(entry)];
        } catch (error) {
          onUnreadable(entry.key, error);
          return [];
        }
      });
      return records.filter(isRunning);
    },
    async nextId(namespace, name) {
      const stored = await entries(namespace, name);
      await remove(stored.slice(0, Math.max(0, stored.length - KEPT + 1)).map(({ key }) => key));
      const last = stored.at(-1)?.key.slice(rolloutKey(namespace, name).length);
      return Number(last ?? 0) + 1;
    },
    async forget(namespace, name) {
      await remove((await entries(namespace, name)).map(({ key }) => key));
    },
  };
}
