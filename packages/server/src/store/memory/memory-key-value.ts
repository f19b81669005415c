import { EbbError } from '../../core/errors.ts';
import { checkText, checkWrites } from '../check-text.ts';
import type { CommitResult, Entry, KeyValue, Write } from '../key-value.ts';

/** A map that lives as long as the process: for tests, and as the oracle of the other drivers. */
export function createMemoryKeyValue(): KeyValue {
  const entries = new Map<string, Entry>();
  let closed = false;

  const refuseWhenClosed = (): void => {
    if (closed) throw new EbbError('STORE_FAILED', 'the store is closed because the server is stopping');
  };

  return {
    async get(key) {
      checkText(key, 'key');
      refuseWhenClosed();
      return entries.get(key);
    },

    async list(prefix) {
      checkText(prefix, 'prefix');
      refuseWhenClosed();
      return [...entries.values()]
        .filter((entry) => entry.key.startsWith(prefix))
        .toSorted((left, right) => (left.key < right.key ? -1 : 1));
    },

    async commit(writes) {
      checkWrites(writes);
      refuseWhenClosed();
      return commitTo(entries, writes);
    },

    async [Symbol.asyncDispose]() {
      closed = true;
    },
  };
}

function commitTo(entries: Map<string, Entry>, writes: readonly Write[]): CommitResult {
  const staged = new Map<string, Entry | undefined>();
  for (const write of writes) {
    const current = staged.has(write.key) ? staged.get(write.key) : entries.get(write.key);
    const version = current?.version ?? 0;
    if (write.ifVersion !== undefined && write.ifVersion !== version) return { kind: 'conflict', key: write.key };
    const next = write.kind === 'set' ? { key: write.key, value: write.value, version: version + 1 } : undefined;
    staged.set(write.key, next);
  }
  for (const [key, entry] of staged) {
    if (entry) entries.set(key, entry);
    else entries.delete(key);
  }
  return { kind: 'committed' };
}
