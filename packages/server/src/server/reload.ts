import { type Config, SETTINGS } from '../config/config-schema.ts';
import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { type ConfigKey, decideReload } from './decide-reload.ts';

/** What a reload came to, by the names of the settings. */
export type ReloadOutcome =
  | { readonly kind: 'done'; readonly changed: readonly string[]; readonly needRestart: readonly string[] }
  /** A setting is not allowed: nothing was changed. */
  | { readonly kind: 'refused'; readonly reason: string };

/** Reads the settings again whenever it is called, has what can change at run time applied, and logs what it came to. */
export function createReload(options: {
  /** What is in force now. */
  readonly current: Config;
  /** Reads the settings; throws CONFIG_INVALID. */
  readonly read: () => Config;
  readonly apply: (next: Config) => void;
  readonly logger: Logger;
}): () => ReloadOutcome {
  const { read, apply, logger } = options;
  let { current } = options;
  return () => {
    let wanted: Config;
    try {
      wanted = read();
    } catch (error) {
      const reason = asEbbError(error).message;
      logger.error(`the settings were read again and nothing was changed: ${reason}`);
      return { kind: 'refused', reason };
    }
    const { next, now, later } = decideReload(current, wanted);
    current = next;
    apply(next);
    const changed = now.map(nameOf);
    const needRestart = later.map(nameOf);
    if (needRestart.length > 0) {
      logger.warn(
        { settings: needRestart },
        `changed, but only "ebb up --takeover" or a restart makes it hold: ${needRestart.join(', ')}`,
      );
    }
    logger.info({ settings: changed }, `the settings were read again; changed: ${changed.join(', ') || 'none'}`);
    return { kind: 'done', changed, needRestart };
  };
}

function nameOf(key: ConfigKey): string {
  return SETTINGS[key].name;
}
