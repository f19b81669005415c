import type { Config } from '../config/config-schema.ts';
import { type LoadedConfig, loadConfig } from '../config/load-config.ts';
import type { StartOptions } from './running-server.ts';

/** The settings of a server: as they were at its start, and read anew. */
export interface Settings {
  readonly config: Config;
  readonly origins: LoadedConfig['origins'];
  readonly warnings: readonly string[];
  /** Reads them again. Throws CONFIG_INVALID. */
  readAgain(): Config;
}

/** Reads the settings of a server; the level of its log is `defaultLogLevel` where nothing says one. Throws CONFIG_INVALID. */
export function readSettings({ flags, env, defaultLogLevel }: StartOptions): Settings {
  const read = () => {
    const loaded = loadConfig({ ...(flags === undefined ? {} : { flags }), ...(env === undefined ? {} : { env }) });
    const { config, origins } = loaded;
    const isSaid = origins.logLevel !== 'default' || defaultLogLevel === undefined;
    return { ...loaded, config: isSaid ? config : { ...config, logLevel: defaultLogLevel } };
  };
  const { config, origins, warnings } = read();
  return { config, origins, warnings, readAgain: () => read().config };
}
