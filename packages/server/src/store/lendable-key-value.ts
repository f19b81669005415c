import type { KeyValue } from './key-value.ts';
import { type Lendable, openLending } from './lendable.ts';

/** A store whose file can be given to another process for a while. */
export interface LendableStore extends KeyValue, Lendable {}

/** Makes a store of one that `open` opens. */
export async function openLendable(open: () => Promise<KeyValue>): Promise<LendableStore> {
  const { use, ...lending } = await openLending(open);
  return {
    ...lending,
    get: (key) => use((store) => store.get(key)),
    list: (prefix) => use((store) => store.list(prefix)),
    commit: (writes) => use((store) => store.commit(writes)),
  };
}
