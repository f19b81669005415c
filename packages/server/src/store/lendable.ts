import type { KeyValue } from './key-value.ts';
import { createLending } from './lending.ts';

/** A store whose file can be given to another process for a while; see {@link createLending}. */
export interface LendableStore extends KeyValue {
  lend(): Promise<void>;
  giveAway(error: Error): void;
  takeBack(): Promise<void>;
}

/** Makes a store of one that `open` opens. */
export async function openLendable(open: () => Promise<KeyValue>): Promise<LendableStore> {
  const lending = await createLending(open);
  const { use } = lending;
  return {
    get: (key) => use((store) => store.get(key)),
    list: (prefix) => use((store) => store.list(prefix)),
    commit: (writes) => use((store) => store.commit(writes)),
    lend: () => lending.lend(),
    giveAway: (error) => lending.giveAway(error),
    takeBack: () => lending.takeBack(),
    [Symbol.asyncDispose]: () => lending[Symbol.asyncDispose](),
  };
}
