import type { KeyRules } from './queue.ts';

/** What the open items of one key of one lane do. */
export interface KeyLoad {
  /** How many run. */
  readonly running: number;
  /** How many are queued and have begun an attempt before. */
  readonly retrying: number;
  /** `seq` of the oldest queued item that has begun no attempt; absent when there is none. */
  readonly firstUnbegun?: number | undefined;
}

/** What {@link mayBegin} looks at of an item. */
export interface KeyedItem {
  readonly seq: number;
  readonly begun: number;
  readonly rules?: Pick<KeyRules, 'order' | 'concurrency'> | undefined;
}

/**
 * Whether the key of a queued item lets it begin an attempt now; its moment is not looked at. Each item goes by its own
 * rules, against all open items of its key. `strict` without a limit has a limit of 1.
 */
export function mayBegin(item: KeyedItem, load: KeyLoad): boolean {
  if (!item.rules) return true;
  const { order, concurrency } = item.rules;
  // What waits for its retry has kept its place all the time.
  if (order === 'strict' && item.begun > 0) return true;
  if (order !== 'none' && item.begun === 0 && load.firstUnbegun !== undefined && load.firstUnbegun < item.seq) {
    return false;
  }
  if (order === 'strict') return load.running + load.retrying < (concurrency ?? 1);
  return concurrency === undefined || load.running < concurrency;
}
