import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { type NamespaceResource, resolveRate } from '@ebb/contract';
import { createApi } from '../api/create-api.ts';
import { ensureAdminSecret } from '../auth/admin-secret.ts';
import { createAuthenticator } from '../auth/authenticator.ts';
import { createLocalToken, hashLocalToken } from '../auth/local-token.ts';
import { createCodeStore } from '../builds/code-store.ts';
import type { Config } from '../config/config-schema.ts';
import { loadConfig } from '../config/load-config.ts';
import { systemClock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import { createLogger } from '../core/logger.ts';
import type { FunctionRegistry } from '../core/ports.ts';
import type { FindVersion } from '../gateway/called-versions.ts';
import { Gateway } from '../gateway/gateway.ts';
import { RateGates } from '../gateway/rate-gates.ts';
import { RouteTable } from '../gateway/route-table.ts';
import { createRouteFeed, knownEverywhere, limitedEverywhere } from '../gateways/route-feed.ts';
import type { InstancePools } from '../pool/instance-pools.ts';
import { createRollouts } from '../rollouts/create-rollouts.ts';
import { withoutRollouts } from '../rollouts/without-rollouts.ts';
import { createFunctionRegistry, type StoredFunctionRegistry } from '../registry/function-registry.ts';
import { createNamespaceRegistry } from '../registry/namespace-registry.ts';
import { createSecretRegistry } from '../registry/secret-registry.ts';
import { createLogBook } from '../telemetry/log-book.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { createMetricsServer } from '../telemetry/metrics-server.ts';
import { createTelemetry } from '../telemetry/telemetry.ts';
import { createVersionTally } from '../telemetry/version-tally.ts';
import { type Front, openGateways, openHere } from './front.ts';
import { openInstallation, removeRunDir, writeServerFile } from './installation.ts';
import { wireEngine } from './wire/wire-engine.ts';
import { wirePools } from './wire/wire-pools.ts';
import { wireStore } from './wire/wire-store.ts';

/** How often idle instances are looked at. */
const SCALE_EVERY_MS = 500;
/** Uploaded code that no version refers to is kept this long: its deploy may still come. */
const UNUSED_CODE_MS = 3_600_000;
const SWEEP_EVERY_MS = 600_000;
/** How long an answer about the engine's health holds. */
const HEALTH_MS = 2_000;
/** Real code compresses to a fifth, rarely to a fiftieth; an archive beyond this is a bomb. */
const CODE_MAX_RATIO = 200;

/** What a server is started with. */
export interface StartOptions {
  /** Settings from the command line, by name. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** The environment to read settings from; the process's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Level of the server's own log when no setting says one; a terminal wants less than a log file. */
  readonly defaultLogLevel?: Config['logLevel'];
  /** Version of the product, as `/v1/version` shows it. */
  readonly version: string;
}

/** A server that runs. */
export interface RunningServer extends AsyncDisposable {
  /** Where the gateway and the control API answer, as a client on this machine reaches them. */
  readonly url: string;
  readonly metricsUrl?: string;
  readonly engine: string;
  readonly dataDir: string;
  /** The admin secret, at the start that made it. */
  readonly adminSecret?: string;
  /** Token for clients on this machine; valid until the server stops. */
  readonly localToken: string;
  readonly firstStart: boolean;
  readonly functionCount: number;
  /** Sentences the person who started the server should read. */
  readonly warnings: readonly string[];
  /** Drains: refuses new calls, lets running ones end, stops the instances, releases everything. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts the platform in this process: the one place where its parts are made and joined. Throws CONFIG_INVALID,
 * DATA_DIR_IN_USE, LISTEN_FAILED, STORE_FAILED or an engine's error; then nothing is left running.
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const {
    config,
    origins,
    warnings: configWarnings,
  } = loadConfig({
    ...(options.flags === undefined ? {} : { flags: options.flags }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const clock = systemClock;
  const logger = createLogger(
    origins.logLevel === 'default' ? (options.defaultLogLevel ?? config.logLevel) : config.logLevel,
  );
  const warnings = [...configWarnings];
  // Whatever fails half-way undoes what was made before it.
  await using made = new AsyncDisposableStack();

  const installation = openInstallation(config.dataDir);
  const store = made.use(await wireStore(config.dataDir));
  made.defer(() => removeRunDir(installation.runDir));
  const functions: { registry?: StoredFunctionRegistry } = {};
  const [wired, admin, namespaces, code] = await Promise.all([
    wireEngine(config, installation, logger),
    ensureAdminSecret({ store, given: config.adminSecret }),
    createNamespaceRegistry({
      store,
      clock,
      reservedCalls: (namespace) => functions.registry?.reservedCalls(namespace) ?? 0,
    }),
    createCodeStore({
      directory: join(config.dataDir, 'code'),
      limits: {
        archiveBytes: config.uploadMaxBytes,
        unpackedBytes: config.codeMaxBytes,
        entries: config.codeMaxFiles,
        ratio: CODE_MAX_RATIO,
      },
    }),
  ]);
  const engine = made.use(wired.engine);
  warnings.push(...wired.warnings);
  const preparing = engine.prepare();
  preparing.catch(() => {});

  const secrets = await createSecretRegistry({
    store,
    keyPath: join(config.dataDir, 'secrets.key'),
    namespaces,
    clock,
    usedBy: (namespace, name) => functions.registry?.secretUser(namespace, name),
  });

  const logs = made.use(
    createLogBook({
      directory: join(config.dataDir, 'logs'),
      clock,
      logger,
      limits: { maxBytes: config.logMaxBytes, maxLinesPerSecond: config.logMaxLinesPerSecond },
    }),
  );
  const metrics = createMetrics({ functions: () => gauges(registry, pools), spares: () => spares.ready });
  const { pools, loop, spares } = wirePools({
    engine,
    installation: installation.id,
    generation: randomUUID(),
    code,
    secrets,
    namespaces,
    logs,
    clock,
    logger,
    startTimeoutMs: config.startTimeoutMs,
    maxInstances: config.maxInstances,
    maxConcurrentStarts: config.maxConcurrentStarts,
    memoryBudgetBytes: config.memoryBudgetBytes,
    keepAlive: config.keepAlive,
    poolSize: config.poolSize,
    scaleEveryMs: SCALE_EVERY_MS,
    maxFrozenBytes: config.maxFrozenBytes ?? totalmem() / 2,
    onStarted: ({ start, calls }) => metrics.started(start, calls),
  });
  made.use(loop);
  const registry = await createFunctionRegistry({
    store,
    namespaces,
    secrets,
    code,
    gate: pools,
    clock,
    logger,
    retention: { kept: config.versionsKept, maxAgeMs: config.versionsMaxAgeMs },
    isVersionBusy: ({ key, namespace, name }) => pools.isRunning(key) || rollouts.isRunning(namespace, name),
    maxInstances: config.maxInstances,
  });
  functions.registry = registry;

  const feed = config.gateways > 0 ? made.use(createRouteFeed(registry)) : undefined;
  const everywhere = feed ? knownEverywhere(registry, feed) : registry;
  const versions = made.use(createVersionTally(registry, () => rollouts.hurry()));
  const rollouts = createRollouts({
    registry: everywhere,
    store,
    poolOf: (version) => pools.of(version),
    takeCounted: () => versions.take(),
    clock,
    logger,
  });

  const telemetry = made.use(createTelemetry({ metrics, logs, versions, logger }));
  const localToken = createLocalToken();
  const authenticator = createAuthenticator({
    adminSecretHash: admin.hash,
    localTokenHash: hashLocalToken(localToken),
    clock,
  });
  const findVersion: FindVersion = async (...named) => pools.called(await registry.version(...named));
  const rates = new RateGates(clock);
  const routes = made.use(new RouteTable(registry, { findVersion, rates }));
  const gateway = new Gateway({
    pools,
    routes,
    authenticator,
    domain: config.domain,
    logger,
    record: (event) => telemetry.record(event),
  });
  made.use(
    registry.watch((change) => {
      if (change.kind !== 'removed') return;
      const { namespace, name } = change.previous;
      metrics.forget(namespace, name);
      void logs.forget(namespace, name);
    }),
  );

  const limit = ({ name, limits = {} }: NamespaceResource) => {
    const { concurrency, reserved = 0 } = limits;
    pools.limits.setNamespace(name, { concurrency, reservedShare: reserved / 100 });
    const rate = resolveRate(limits);
    rates.set(name, rate);
    feed?.tellRate(name, rate !== undefined);
  };
  for (const namespace of namespaces.list()) limit(namespace);
  made.use(namespaces.watch(limit));
  const health: { draining: boolean; front?: Front } = { draining: false };
  // Anybody may ask for the health; the engine is asked once in a while only.
  const engineHealth = rememberFor(HEALTH_MS, async () => {
    const status = await engine.probe();
    return { name: engine.name, ok: status.ok, ...(status.ok ? {} : { message: status.message }) };
  });
  const healthNow = async () => {
    const state = await engineHealth();
    return {
      status: health.draining ? ('draining' as const) : state.ok ? ('ok' as const) : ('degraded' as const),
      engine: state,
      ...health.front?.describe(),
    };
  };
  const api = made.use(
    await createApi({
      registry: withoutRollouts(everywhere, rollouts),
      rollouts,
      namespaces: feed ? limitedEverywhere(namespaces, feed) : namespaces,
      secrets,
      code,
      logs,
      instances: pools,
      authenticator,
      info: {
        name: 'ebb',
        version: options.version,
        node: process.version,
        engine: engine.name,
        installation: installation.id,
      },
      health: healthNow,
      engineFindings: async () => (await engine.probe()).findings,
      logger,
    }),
  );

  // Instances need what `prepare` makes; a daemon that is down now is tried again by the first create.
  await preparing.catch((error: unknown) => {
    warnings.push(`the engine could not be prepared: ${asEbbError(error).message}`);
  });
  made.adopt(pools, (all) => all.close());
  await pools.start(registry);
  loop.start();
  made.use(rollouts);
  // Before the port opens: the first call finds the weights as they are meant to be.
  await rollouts.start();

  const handleRequest = (request: IncomingMessage, response: ServerResponse) => {
    if (!gateway.handle(request, response)) api.handle(request, response);
  };
  const shared = { config, gateway, handleRequest };
  const { runDir } = installation;
  const opened = feed
    ? await openGateways({
        ...shared,
        feed,
        rates,
        pools,
        authenticator,
        findVersion,
        metrics,
        logs,
        onCounted: (counted) => rollouts.observed(counted),
        logger,
        runDir,
      })
    : await openHere(shared);
  health.front = opened;
  made.adopt(opened, (open) => open.close());
  const metricsServer = await openMetrics();
  if (metricsServer) made.use(metricsServer);

  const url = `http://${clientHost(config.listen.host)}:${opened.port}`;
  made.use(
    writeServerFile(config.dataDir, {
      url,
      ...(metricsServer === undefined ? {} : { metricsUrl: metricsServer.url }),
      token: localToken,
      pid: process.pid,
      installation: installation.id,
      startedAt: new Date(clock.now()).toISOString(),
    }),
  );
  const sweep = setInterval(() => void sweepCode().catch(() => {}), SWEEP_EVERY_MS).unref();
  made.defer(() => clearInterval(sweep));
  void sweepCode().catch(() => {});

  const parts = made.move();
  let closed: Promise<void> | undefined;
  const close = async () => {
    health.draining = true;
    await opened.drain();
    // Ends followed logs, which would keep their connections open.
    await api[Symbol.asyncDispose]();
    await opened.close(1_000);
    await parts.disposeAsync();
  };
  const stop = () => (closed ??= close());
  return {
    url,
    ...(metricsServer === undefined ? {} : { metricsUrl: metricsServer.url }),
    engine: engine.name,
    dataDir: config.dataDir,
    ...(admin.created === undefined ? {} : { adminSecret: admin.created }),
    localToken,
    firstStart: installation.firstStart,
    functionCount: registry.list().length,
    warnings,
    close: stop,
    [Symbol.asyncDispose]: stop,
  };

  async function openMetrics() {
    if (config.metricsListen === 'off') return undefined;
    try {
      return await createMetricsServer({ listen: config.metricsListen, metrics, health: healthNow });
    } catch (error) {
      // Nobody asked for the default port, so a second server on the host does without.
      if (origins.metricsListen !== 'default' || !(error instanceof EbbError)) throw error;
      warnings.push(`metrics are off: ${error.message}; set EBB_METRICS_LISTEN to another address`);
      return undefined;
    }
  }

  async function sweepCode() {
    await registry.collect();
    const inUse = new Set(await registry.codeInUse());
    // What was removed while it still served may go on for as long as its last request.
    for (const { version } of pools.all()) if (version.code !== undefined) inUse.add(version.code);
    await code.sweep(inUse, UNUSED_CODE_MS);
  }
}

function* gauges(registry: FunctionRegistry, pools: InstancePools) {
  for (const { namespace, name, live } of registry.list()) {
    const pool = pools.find(live.key);
    const { ready = 0, waiting = 0 } = pool ?? {};
    yield { namespace, name, instances: ready, waiting, frozen: pool?.frozen().length ?? 0 };
  }
}

/** Calls `ask` at most once in `ms`; callers in between share its answer. */
function rememberFor<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    if (!answer) {
      answer = ask();
      setTimeout(() => {
        answer = undefined;
      }, ms).unref();
    }
    return answer;
  };
}

/** An address to connect to for one to listen on. */
function clientHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
