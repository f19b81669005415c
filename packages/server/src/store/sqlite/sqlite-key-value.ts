import { checkText, checkWrites } from '../check-text.ts';
import type { KeyValue } from '../key-value.ts';
import type { KeyValueOperation, KeyValueResult } from './key-value-file.ts';
import { openSqliteClient } from './sqlite-client.ts';

/** Where the store lives. */
export interface SqliteKeyValueOptions {
  /** Path of the database file; made, with its folder, when absent. */
  readonly path: string;
}

/**
 * Opens the durable map in one SQLite file, kept by a thread of its own so that no fsync holds up a request.
 * Operations that arrive while others are being written go together: one transaction and one fsync for all their
 * commits, each with its own conflict check. Throws STORE_FAILED for a file that is damaged or cannot be opened,
 * and DATA_DIR_IN_USE when another process has it open.
 */
export async function createSqliteKeyValue(options: SqliteKeyValueOptions): Promise<KeyValue> {
  const client = await openSqliteClient<KeyValueOperation, KeyValueResult>({
    path: options.path,
    worker: 'key-value-worker',
    threadName: 'ebb-store',
  });
  return {
    async get(key) {
      checkText(key, 'key');
      const answer = await client.ask({ kind: 'get', key });
      return answer.kind === 'entry' ? answer.entry : undefined;
    },

    async list(prefix) {
      checkText(prefix, 'prefix');
      const answer = await client.ask({ kind: 'list', prefix });
      return answer.kind === 'entries' ? answer.entries : [];
    },

    async commit(writes) {
      checkWrites(writes);
      const answer = await client.ask({ kind: 'commit', writes });
      return answer.kind === 'committed' ? answer.result : { kind: 'committed' };
    },

    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
