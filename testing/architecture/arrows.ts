/**
 * Who may import whom. A room is a folder of the server (`packages/server/src/NAME`) or a package; rooms may always
 * import themselves. What is not listed is forbidden, so the list is the map of the house.
 */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  sdk: ['contract'],
  cli: ['sdk', 'contract'],
  core: ['contract'],
  config: ['core', 'contract'],
  store: ['core', 'contract'],
  telemetry: ['core', 'contract'],
  engines: ['runtimes', 'core', 'contract'],
  runtimes: ['core', 'contract'],
  registry: ['store', 'core', 'contract'],
  auth: ['store', 'core', 'contract'],
  metering: ['store', 'core', 'contract'],
  rollouts: ['registry', 'store', 'telemetry', 'core', 'contract'],
  builds: ['store', 'core', 'contract'],
  pool: ['engines', 'core', 'contract'],
  autoscaler: ['pool', 'engines', 'core', 'contract'],
  gateway: ['pool', 'registry', 'auth', 'telemetry', 'core', 'contract'],
  gateways: ['gateway', 'pool', 'engines', 'registry', 'auth', 'telemetry', 'core', 'contract'],
  async: ['store', 'registry', 'core', 'contract'],
  jobs: ['store', 'registry', 'engines', 'core', 'contract'],
  triggers: ['store', 'registry', 'core', 'contract'],
  workflows: ['store', 'registry', 'core', 'contract'],
  api: ['registry', 'builds', 'triggers', 'workflows', 'jobs', 'async', 'auth', 'metering', 'core', 'contract'],
  'runtime-node': [],
};

/** Rooms that may import every other; the composition root is one. */
export const UNBOUND_ROOMS: readonly string[] = ['server'];

/** Rooms that another may load only when it needs them, by a dynamic import. */
export const LAZY_ARROWS: Readonly<Record<string, readonly string[]>> = { cli: ['server'] };

/** Rooms whose subfolders are drivers: nobody imports one but the server's wiring, dynamically. */
export const DRIVER_ROOMS: readonly string[] = ['engines', 'store', 'triggers'];

/** Folder of the server that chooses and loads drivers. */
export const WIRING = 'packages/server/src/server/wire/';

/** Rooms that run in a browser as well, so nothing of Node is there. */
export const BROWSER_ROOMS: readonly string[] = ['contract'];

/** Rooms of the library packages and the server in which only `config` reads the environment. */
export const ENVIRONMENT_READERS: readonly string[] = ['config', 'cli', 'runtime-node'];

/** Files that only compute: they see types, the contract and other pure files. */
export const PURE_FILE =
  /\/(?:(?:decide-|fold-|classify-|windows|traffic|authorize)[^/]*|(?:keep-alive|gateway\/traffic)\/[^/]+)\.ts$/;
