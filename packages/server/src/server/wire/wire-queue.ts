import { join } from 'node:path';
import type { Config } from '../../config/config-schema.ts';
import type { Queue } from '../../store/queue.ts';

/** Opens the queue the settings ask for. Throws STORE_FAILED, or DATA_DIR_IN_USE while another server has it open. */
export async function wireQueue({ dataDir }: Pick<Config, 'dataDir'>): Promise<Queue> {
  const { createSqliteQueue } = await import('../../store/sqlite/sqlite-queue.ts');
  return createSqliteQueue({ path: join(dataDir, 'queue.db') });
}
