import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { createApi } from '../api/create-api.ts';
import { ensureAdminSecret } from '../auth/admin-secret.ts';
import { createAuthenticator } from '../auth/authenticator.ts';
import { createLocalToken, hashLocalToken } from '../auth/local-token.ts';
import { createCodeStore } from '../builds/code-store.ts';
import type { Config } from '../config/config-schema.ts';
import { type LoadedConfig, loadConfig } from '../config/load-config.ts';
import { systemClock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import { createLogger } from '../core/logger.ts';
import type { FunctionRegistry } from '../core/ports.ts';
import { limitedEverywhere } from '../gateways/route-feed.ts';
import { AsyncDoor } from '../gateway/async-door.ts';
import type { InstancePools } from '../pool/instance-pools.ts';
import { withoutRollouts } from '../rollouts/without-rollouts.ts';
import { createFunctionRegistry, type StoredFunctionRegistry } from '../registry/function-registry.ts';
import { createNamespaceRegistry } from '../registry/namespace-registry.ts';
import { createSecretRegistry } from '../registry/secret-registry.ts';
import { createSigningKeys } from '../registry/signing-keys.ts';
import type { JobEngine } from '../jobs/create-jobs.ts';
import { openLendable } from '../store/lendable-key-value.ts';
import { openLendableQueue } from '../store/lendable-queue.ts';
import { createLogBook } from '../telemetry/log-book.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { createMetricsServer } from '../telemetry/metrics-server.ts';
import { emptyNamespace } from './empty-namespace.ts';
import { type Front, openGateways, openHere } from './front.ts';
import { createHealth } from './health.ts';
import { createReload } from './reload.ts';
import { retried } from './retried.ts';
import type { RunningServer, StartOptions } from './running-server.ts';
import { createApiGate } from './takeover/api-gate.ts';
import { type HandOver, openHandOver } from './takeover/hand-over.ts';
import { createHandOverSteps, isInUse } from './takeover/hand-over-steps.ts';
import { inheritanceOf } from './takeover/inheritance.ts';
import { callPredecessor } from './takeover/predecessor.ts';
import { openInstallation, readServerFile, removeRunDir, writeServerFile } from './installation.ts';
import { wireAsync } from './wire/wire-async.ts';
import { wireJobs } from './wire/wire-jobs.ts';
import { wireEngine } from './wire/wire-engine.ts';
import { wirePools } from './wire/wire-pools.ts';
import { wireQueue } from './wire/wire-queue.ts';
import { wireTraffic } from './wire/wire-traffic.ts';
import { wireStore } from './wire/wire-store.ts';

/** How often idle instances are looked at. */
const SCALE_EVERY_MS = 500;
/** Uploaded code that no version refers to is kept this long: its deploy may still come. */
const UNUSED_CODE_MS = 3_600_000;
const SWEEP_EVERY_MS = 600_000;
/** A server that is replaced closes its metrics when the other serves. */
const METRICS_TRIES = 20;
/** Whoever had the store's file may have the queue's for a moment longer. */
const QUEUE_TRIES = 20;
/** Half a minute longer than calls with the default timeout take to end in a server that shuts down. */
const STORE_TRIES = 1_800;
/** Real code compresses to a fifth, rarely to a fiftieth; an archive beyond this is a bomb. */
const CODE_MAX_RATIO = 200;

/**
 * Starts the platform in this process: the one place where its parts are made and joined. Throws CONFIG_INVALID,
 * DATA_DIR_IN_USE, LISTEN_FAILED, STORE_FAILED or an engine's error; then nothing is left running.
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const load = () =>
    loadConfig({
      ...(options.flags === undefined ? {} : { flags: options.flags }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
  const levelOf = (loaded: LoadedConfig) =>
    loaded.origins.logLevel === 'default'
      ? (options.defaultLogLevel ?? loaded.config.logLevel)
      : loaded.config.logLevel;
  const loaded = load();
  const { config, origins, warnings: configWarnings } = loaded;
  const clock = systemClock;
  const logger = createLogger(levelOf(loaded));
  const warnings = [...configWarnings];
  // Whatever fails half-way undoes what was made before it.
  await using made = new AsyncDisposableStack();

  const installation = openInstallation(config.dataDir);
  const { runDir } = installation;
  const predecessor = options.takeover
    ? await callPredecessor({ dataDir: config.dataDir, runDir, version: options.version })
    : undefined;
  if (predecessor) made.use(predecessor);
  const inherited = predecessor && inheritanceOf(predecessor, config.listen);
  if (predecessor && inherited && !inherited.from) {
    warnings.push(
      `the server that is replaced listens on ${predecessor.host}:${predecessor.port}, not where this one does: calls there are refused from now on`,
    );
  }
  await predecessor?.lend();
  // Whether this server's place is its own: what it would share with another is not removed.
  const standing: { isOurs: boolean; isReplaced: boolean; hasStore?: boolean; handOver?: HandOver } = {
    isOurs: predecessor === undefined,
    isReplaced: false,
  };
  const store = made.use(await openLendable(() => openStore()));
  standing.hasStore = true;
  const queue = made.use(
    await openLendableQueue(async () => {
      const open = () => wireQueue({ config, installation: installation.id, logger });
      const opened = await retried(open, QUEUE_TRIES, isInUse);
      return options.aroundQueue?.(opened) ?? opened;
    }),
  );
  made.defer(() => {
    if (standing.isOurs) removeRunDir(runDir);
  });
  const later: { registry?: StoredFunctionRegistry; jobs?: JobEngine; front?: Front } = {};
  const [wired, admin, namespaces, code] = await Promise.all([
    wireEngine(config, installation, logger),
    ensureAdminSecret({ store, given: config.adminSecret }),
    createNamespaceRegistry({
      store,
      clock,
      reservedCalls: (namespace) => later.registry?.reservedCalls(namespace) ?? 0,
      empty: async (namespace) => {
        if (later.jobs) await emptyNamespace(namespace, { queue, jobs: later.jobs });
      },
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
  const { engine } = wired;
  made.defer(() => (standing.isOurs ? engine[Symbol.asyncDispose]() : undefined));
  // A successor may have what is left once all of it is stopped.
  made.defer(() => standing.handOver?.[Symbol.asyncDispose]());
  warnings.push(...wired.warnings);
  const preparing = engine.prepare();
  preparing.catch(() => {});

  const keyPath = join(config.dataDir, 'secrets.key');
  const secrets = await createSecretRegistry({
    store,
    keyPath,
    namespaces,
    clock,
    usedBy: (namespace, name) => later.registry?.secretUser(namespace, name),
  });
  const signingKeys = await createSigningKeys({ store, keyPath, namespaces, clock });

  const logs = made.use(
    createLogBook({
      directory: join(config.dataDir, 'logs'),
      clock,
      logger,
      limits: { maxBytes: config.logMaxBytes, maxLinesPerSecond: config.logMaxLinesPerSecond },
    }),
  );
  const metrics = createMetrics({
    functions: () => gauges(registry, pools),
    spares: () => spares.ready,
    asyncCalls: () => calls.gauges(),
    jobs: () => later.jobs?.gauges() ?? [],
  });
  const generation = randomUUID();
  const { pools, loop, spares, rebound } = wirePools({
    engine,
    installation: installation.id,
    generation,
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
    maxFrozenBytes: frozenBytesOf(config),
    onStarted: ({ start, calls }) => metrics.started(start, calls),
    heldElsewhere: predecessor && (() => predecessor.held()),
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
    isVersionBusy: ({ key, namespace, name, version }) =>
      pools.isRunning(key) ||
      rollouts.isRunning(namespace, name) ||
      queue.hasQueued({ kind: 'function', namespace, name, qualifier: `@${version}` }),
    isRollingOut: (namespace, name) => rollouts.isRunning(namespace, name),
    stopIdle: (version) => pools.stopIdle(version),
    maxInstances: config.maxInstances,
  });
  later.registry = registry;

  // Clients on this machine may have read the one of the server that is replaced.
  const localToken = predecessor?.localToken ?? createLocalToken();
  const authenticator = createAuthenticator({
    adminSecretHash: admin.hash,
    localTokenHash: hashLocalToken(localToken),
    clock,
  });
  const { gateway, invoker, routes, feed, everywhere, rollouts, rates, findVersion } = made.use(
    wireTraffic({ config, registry, namespaces, store, pools, authenticator, metrics, logs, clock, logger }),
  );
  const calls = made.use(
    wireAsync({
      config,
      queue,
      registry,
      signingKeys,
      metrics,
      pools,
      invoker,
      outside: () => later.front?.outside ?? gateway.outside,
      askSuccessor: async (text) => {
        if (!standing.handOver) throw new EbbError('DRAINING', 'no server has taken over');
        return standing.handOver.calls(text);
      },
      abortBefore: async (id, message) => (await predecessor?.abort(id, message)) ?? false,
      clock,
      logger,
      isShared: predecessor !== undefined,
    }),
  );
  const jobs = wireJobs({
    config,
    installation: installation.id,
    generation,
    engine,
    store,
    registry,
    namespaces,
    secrets,
    invoker,
    pools,
    logs,
    clock,
    logger,
  });
  later.jobs = jobs;
  const health = createHealth(engine);
  const api = made.use(
    await createApi({
      registry: withoutRollouts(everywhere, rollouts),
      rollouts,
      namespaces: feed ? limitedEverywhere(namespaces, feed) : namespaces,
      secrets,
      code,
      logs,
      instances: pools,
      invocations: calls.invocations,
      jobs,
      ...calls.outcomes,
      signingKeys,
      authenticator,
      info: {
        name: 'ebb',
        version: options.version,
        node: process.version,
        engine: engine.name,
        installation: installation.id,
      },
      health: () => health.now(),
      engineFindings: async () => (await engine.probe()).findings,
      logger,
    }),
  );

  // Instances need what `prepare` makes; a daemon that is down now is tried again by the first create.
  await preparing.catch((error: unknown) => {
    warnings.push(`the engine could not be prepared: ${asEbbError(error).message}`);
  });
  made.adopt(pools, (all) => all.close());
  made.use(rollouts);
  // Before the instances that its calls are on are stopped.
  made.use(jobs);
  const startPools = async () => {
    await pools.start(registry);
    loop.start();
    // Before the first call: it finds the weights as they are meant to be.
    await rollouts.start();
    await jobs.start();
  };
  if (!predecessor) await startPools();

  const gate = createApiGate((request, response) => api.handle(request, response));
  const door = new AsyncDoor({ routes, authenticator, acceptor: calls.acceptance, gateway, gate });
  const handleRequest = (request: IncomingMessage, response: ServerResponse) => {
    if (gateway.handle(request, response)) return;
    if (gate.isTurnedOver || !door.handle(request, response)) gate.handle(request, response);
  };
  const shared = { config, gateway, door, handleRequest, inherited };
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
  later.front = opened;
  made.adopt(opened, (open) => open.close());
  if (predecessor) {
    predecessor.onCalls((text) => calls.settleFor(text));
    await predecessor.take();
    // What it gave up is taken into service before the first call.
    await startPools();
    predecessor.onReleased(() => {
      pools.wantReconcile();
      // Once this server is replaced as well, its successor is who waits for them.
      standing.handOver?.released();
    });
    standing.isOurs = true;
    opened.begin();
    predecessor.open();
  }
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
  const alive = () => (predecessor?.isThere === true ? predecessor.owners : []);
  await calls.start(alive());
  void predecessor?.gone.then(() => calls.reclaim());
  const sweep = setInterval(() => void sweepCode().catch(() => {}), SWEEP_EVERY_MS).unref();
  made.defer(() => clearInterval(sweep));
  void sweepCode().catch(() => {});

  const handOver = await openHandOver({
    runDir,
    port: opened.server,
    listen: { host: config.listen.host, port: opened.port },
    localToken,
    owners: () => [calls.owner, ...alive()],
    abort: (id, message) => calls.abort(id, message),
    held: async () => {
      const before = predecessor ? await predecessor.held() : new Set<string>();
      return before && [...pools.held(), ...before];
    },
    logger,
    steps: createHandOverSteps({
      gate,
      pools,
      rollouts,
      jobs,
      store,
      calls,
      front: opened,
      logger,
      onReleased: () => handOver.released(),
      onReplaced: () => {
        standing.isOurs = false;
        standing.isReplaced = true;
        void metricsServer?.[Symbol.asyncDispose]();
      },
    }),
  });
  standing.handOver = handOver;
  const reload = createReload({
    current: { ...config, logLevel: levelOf(loaded) },
    read: () => {
      const again = load();
      return { ...again.config, logLevel: levelOf(again) };
    },
    apply: (next) => {
      logger.level = next.logLevel;
      opened.setDrainTimeout(next.drainTimeoutMs);
      rebound({ ...next, maxFrozenBytes: frozenBytesOf(next) });
    },
    logger,
  });
  const parts = made.move();
  let closed: Promise<void> | undefined;
  const close = async (now: AbortSignal) => {
    // Told to stop while another server takes over: it does, and nobody is refused anything.
    await handOver.close();
    // With a successor nobody is refused anything: calls end by themselves, at the latest by their timeouts.
    health.draining = true;
    await calls.stop();
    if (standing.isReplaced)
      await Promise.race([Promise.all([opened.callsEnded(now), jobs.streamsEnded()]), aborted(now)]);
    else await opened.drain();
    await calls.giveBack();
    // Ends followed logs, which would keep their connections open.
    await api[Symbol.asyncDispose]();
    // What was promised to idle connections is kept: a request may be on its way on one, also on one of the server
    // that this one replaced, which passes it on to here.
    if (standing.isReplaced) await opened.left(now);
    await opened.close(1_000);
    await parts.disposeAsync();
  };
  const hurry = new AbortController();
  const stop = () => {
    // Asked again, what is left of connections is cut.
    if (closed) hurry.abort();
    return (closed ??= close(hurry.signal));
  };
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
    ...(predecessor === undefined ? {} : { predecessor: predecessor.pid }),
    replaced: handOver.replaced,
    reload,
    close: stop,
    [Symbol.asyncDispose]: stop,
  };

  function openMetricsOnce() {
    const { metricsListen: listen } = config;
    return listen === 'off' ? undefined : createMetricsServer({ listen, metrics, health: () => health.now() });
  }

  /** With `takeover` a server that shuts down, or cannot hand over, is waited for. */
  async function openStore() {
    try {
      const tries = options.takeover && !standing.hasStore ? STORE_TRIES : 1;
      return await retried(() => wireStore(config.dataDir), tries, isInUse);
    } catch (cause) {
      if (!isInUse(cause)) throw cause;
      const pid = readServerFile(config.dataDir)?.pid;
      throw new EbbError('DATA_DIR_IN_USE', inUseMessage(config.dataDir, pid, options.takeover === true), { cause });
    }
  }

  async function openMetrics() {
    try {
      return await retried(() => openMetricsOnce(), predecessor ? METRICS_TRIES : 1);
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

/** What to do about a data directory that another server, maybe of that process id, has open. */
function inUseMessage(dataDir: string, pid: number | undefined, isTakeover: boolean): string {
  const which = pid === undefined ? '' : ` (process ${pid})`;
  const instead = isTakeover ? '' : ', take its place with --takeover';
  return `${dataDir} is open in another running server${which}; stop that one${instead}, or choose another directory with --data-dir`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function frozenBytesOf({ maxFrozenBytes }: Config): number {
  return maxFrozenBytes ?? totalmem() / 2;
}

function* gauges(registry: FunctionRegistry, pools: InstancePools) {
  for (const { namespace, name, live } of registry.list()) {
    const pool = pools.find(live.key);
    const { ready = 0, waiting = 0 } = pool ?? {};
    yield { namespace, name, instances: ready, waiting, frozen: pool?.frozen().length ?? 0 };
  }
}

/** An address to connect to for one to listen on. */
function clientHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
