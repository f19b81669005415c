import { withoutBodies } from '../fold-held.ts';
import type { Queue } from '../queue.ts';
import { asItemRow, asRecord, packSettlements } from './queue-codec.ts';
import type { QueueCalls, QueueOperation, QueueResult } from './queue-protocol.ts';
import { packOperations } from './queue-wire.ts';
import { openSqliteClient, type SqliteClient } from './sqlite-client.ts';

/** Where the queue lives. */
export interface SqliteQueueOptions {
  /** Path of the database file, which holds nothing else; made, with its folder, when absent. */
  readonly path: string;
}

/**
 * Opens the durable queue in one SQLite file, kept by a thread of its own. What arrives while others are being written
 * goes together: one transaction and one fsync (A1). Throws STORE_FAILED for a file that is damaged or cannot be opened,
 * and DATA_DIR_IN_USE when another process has it open. Writes that find no space are STORAGE_FULL and reads go on.
 */
export async function createSqliteQueue(options: SqliteQueueOptions): Promise<Queue> {
  const client = await openSqliteClient<QueueOperation, QueueResult>({
    path: options.path,
    worker: 'queue-worker',
    threadName: 'ebb-queue',
    pack: packOperations,
  });
  return queueOn(client);
}

/** The queue behind a client: one that keeps it in a thread, or, in tests, in memory. */
export function queueOn(client: SqliteClient<QueueOperation, QueueResult>): Queue {
  const call = <Kind extends keyof QueueCalls>(kind: Kind, ask: QueueCalls[Kind][0]) =>
    client.ask({ kind, ask } as QueueOperation) as Promise<QueueCalls[Kind][1]>;

  return {
    name: 'sqlite',
    leasesWhatIsQueued: true,

    async enqueue(items, limits) {
      // Their bytes are the caller's again once this returns.
      const rows = items.map((item) => asItemRow(item, (bytes) => Buffer.from(bytes)));
      const results = await call('enqueue', { rows, perNamespace: limits?.perNamespace });
      return items.map(({ id }, index) => results?.[index] ?? { kind: 'accepted', id });
    },

    async lease(request) {
      const { leases, nextAt } = await call('lease', request);
      return {
        leases: leases.map(({ row, receipt }) => ({ record: asRecord(row), attempt: row.hot.begun, receipt })),
        nextAt,
      };
    },

    extend: (receipts, untilAt) => call('extend', { receipts, untilAt }),
    settle: (settlements) => call('settle', packSettlements(settlements)),
    reclaim: ({ now, owners }) => call('reclaim', { now, owners }),
    cancel: (id, { now, message }) => call('cancel', { id, now, message }),

    async get(id) {
      const row = await call('get', { id });
      return row && asRecord(row);
    },

    list: async (query) => (await call('list', query)).map((row) => withoutBodies(asRecord(row))),
    lanes: () => call('lanes', {}),
    count: (namespace) => call('count', { namespace }),
    hasQueued: ({ namespace, name, qualifier }) => call('hasQueued', { namespace, name, qualifier }),
    redrive: (pairs, now) => call('redrive', { pairs, now }),
    purge: (ids) => call('purge', { ids }),
    forget: (retention, now, max) => call('forget', { retention, now, max }),
    clear: (namespace, max) => call('clear', { namespace, max }),
    filesInUse: async (digests) => new Set(await call('filesInUse', { digests })),

    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
