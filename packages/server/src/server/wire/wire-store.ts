import { join } from 'node:path';
import type { KeyValue } from '../../store/key-value.ts';

/** Opens the store of a data directory. Throws STORE_FAILED, or DATA_DIR_IN_USE while another server runs on it. */
export async function wireStore(dataDir: string): Promise<KeyValue> {
  const { createSqliteKeyValue } = await import('../../store/sqlite/sqlite-key-value.ts');
  return createSqliteKeyValue({ path: join(dataDir, 'ebb.db') });
}
