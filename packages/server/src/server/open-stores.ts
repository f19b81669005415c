import type { Config } from '../config/config-schema.ts';
import { EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { type LendableStore, openLendable } from '../store/lendable-key-value.ts';
import { type LendableQueue, openLendableQueue } from '../store/lendable-queue.ts';
import { readServerFile } from './installation.ts';
import { retried } from './retried.ts';
import type { StartOptions } from './running-server.ts';
import { isInUse } from './takeover/hand-over-steps.ts';
import { wireQueue } from './wire/wire-queue.ts';
import { wireStore } from './wire/wire-store.ts';

/** Whoever had the store's file may have the queue's for a moment longer. */
const QUEUE_TRIES = 20;
/** Half a minute longer than calls with the default timeout take to end in a server that shuts down. */
const STORE_TRIES = 1_800;

/** What {@link openStores} is told. */
export interface OpenStoresOptions extends Pick<StartOptions, 'takeover' | 'aroundQueue'> {
  readonly config: Config;
  /** Id of the installation. */
  readonly installation: string;
  readonly logger: Logger;
}

/** What a server keeps things in. */
export interface Stores {
  readonly store: LendableStore;
  readonly queue: LendableQueue;
}

/**
 * Opens store and queue of a data directory, in a way that another server may have them for a while; who closes them comes
 * into `made`. With `takeover` a server that shuts down, or cannot hand over, is waited for. Throws DATA_DIR_IN_USE,
 * STORE_FAILED.
 */
export async function openStores(options: OpenStoresOptions, made: AsyncDisposableStack): Promise<Stores> {
  const { config, installation, logger, takeover = false, aroundQueue } = options;
  let isOpen = false;
  const openStore = async () => {
    try {
      return await retried(() => wireStore(config.dataDir), takeover && !isOpen ? STORE_TRIES : 1, isInUse);
    } catch (cause) {
      if (!isInUse(cause)) throw cause;
      const pid = readServerFile(config.dataDir)?.pid;
      throw new EbbError('DATA_DIR_IN_USE', inUseMessage(config.dataDir, pid, takeover), { cause });
    }
  };
  const openQueue = async () => {
    const opened = await retried(() => wireQueue({ config, installation, logger }), QUEUE_TRIES, isInUse);
    return aroundQueue?.(opened) ?? opened;
  };
  const store = made.use(await openLendable(openStore));
  isOpen = true;
  return { store, queue: made.use(await openLendableQueue(openQueue)) };
}

/** What to do about a data directory that another server, maybe of that process id, has open. */
function inUseMessage(dataDir: string, pid: number | undefined, isTakeover: boolean): string {
  const which = pid === undefined ? '' : ` (process ${pid})`;
  const instead = isTakeover ? '' : ', take its place with --takeover';
  return `${dataDir} is open in another running server${which}; stop that one${instead}, or choose another directory with --data-dir`;
}
