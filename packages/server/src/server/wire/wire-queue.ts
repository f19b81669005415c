import { join } from 'node:path';
import type { Config } from '../../config/config-schema.ts';
import { EbbError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Queue } from '../../store/queue.ts';

/** What {@link wireQueue} needs besides settings. */
export interface WireQueueOptions {
  readonly config: Pick<Config, 'dataDir' | 'queue' | 'natsUrl'>;
  /** Id of the installation, whose queue on NATS is its own. */
  readonly installation: string;
  readonly logger: Logger;
}

/**
 * Opens the queue the settings ask for. Throws STORE_FAILED, DATA_DIR_IN_USE while another server has its file open, or
 * CONFIG_INVALID.
 */
export async function wireQueue({ config, installation, logger }: WireQueueOptions): Promise<Queue> {
  if (config.queue === 'sqlite') {
    const { createSqliteQueue } = await import('../../store/sqlite/sqlite-queue.ts');
    return createSqliteQueue({ path: join(config.dataDir, 'queue.db') });
  }
  if (config.natsUrl === undefined) {
    throw new EbbError('CONFIG_INVALID', 'natsUrl must be set where queue is "nats", such as "nats://localhost:4222"');
  }
  const { createNatsQueue } = await import('../../store/nats/nats-queue.ts');
  return createNatsQueue({ servers: config.natsUrl, installation, logger });
}
