import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { createApi } from '../api/create-api.ts';
import { createOpenFaasApi } from '../api/openfaas/create-openfaas-api.ts';
import { createAuthenticator } from '../auth/authenticator.ts';
import { createLocalToken, hashLocalToken } from '../auth/local-token.ts';
import type { Config } from '../config/config-schema.ts';
import { systemClock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import { createLogger } from '../core/logger.ts';
import type { AnsweredRequest } from '../core/ports.ts';
import { NOTHING_ELSEWHERE } from '../gateways/calls-elsewhere.ts';
import { limitedEverywhere } from '../gateways/route-feed.ts';
import { AsyncDoor } from '../gateway/async-door.ts';
import { withoutRollouts } from '../rollouts/without-rollouts.ts';
import { UsageMeter } from '../pool/usage-meter.ts';
import { createAcceptedDeploys, type DeployRunner } from '../registry/accepted-deploys.ts';
import { createFunctionRegistry, type StoredFunctionRegistry } from '../registry/function-registry.ts';
import type { JobEngine } from '../jobs/create-jobs.ts';
import { createLogBook } from '../telemetry/log-book.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { clientUrl } from './client-url.ts';
import { createClosing } from './close-server.ts';
import { type Front, openGateways, openHere } from './front.ts';
import { createHealth } from './health.ts';
import { openMetrics } from './open-metrics.ts';
import { openStores } from './open-stores.ts';
import { createReload } from './reload.ts';
import type { RunningServer, StartOptions } from './running-server.ts';
import { readSettings } from './settings.ts';
import { startCodeSweep } from './sweep-code.ts';
import { createApiGate } from './takeover/api-gate.ts';
import { type HandOver, openHandOver } from './takeover/hand-over.ts';
import { createHandOverSteps } from './takeover/hand-over-steps.ts';
import { inheritanceOf } from './takeover/inheritance.ts';
import { callPredecessor } from './takeover/predecessor.ts';
import { openInstallation, removeRunDir, writeServerFile } from './installation.ts';
import { wireAsync } from './wire/wire-async.ts';
import { wireBuilder } from './wire/wire-builder.ts';
import { functionGauges } from './wire/function-gauges.ts';
import { wireKeepers } from './wire/wire-keepers.ts';
import { wireJobs } from './wire/wire-jobs.ts';
import { wireEngine } from './wire/wire-engine.ts';
import { wirePools } from './wire/wire-pools.ts';
import { wireTraffic } from './wire/wire-traffic.ts';

/** How often idle instances are looked at. */
const SCALE_EVERY_MS = 500;

/**
 * Starts the platform in this process: the one place where its parts are made and joined. Throws CONFIG_INVALID,
 * DATA_DIR_IN_USE, LISTEN_FAILED, STORE_FAILED or an engine's error; then nothing is left running.
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const settings = readSettings(options);
  const { config, origins } = settings;
  const clock = systemClock;
  const logger = createLogger(config.logLevel);
  const warnings = [...settings.warnings];
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
  const standing: { isOurs: boolean; isReplaced: boolean; handOver?: HandOver } = {
    isOurs: predecessor === undefined,
    isReplaced: false,
  };
  const { store, queue } = await openStores({ ...options, config, installation: installation.id, logger }, made);
  made.defer(() => {
    if (standing.isOurs) removeRunDir(runDir);
  });
  const later: { registry?: StoredFunctionRegistry; deploys?: DeployRunner; jobs?: JobEngine; front?: Front } = {};
  const [wired, { admin, namespaces, code, secrets, signingKeys }] = await Promise.all([
    wireEngine(config, installation, logger),
    wireKeepers({ config, store, queue, clock, later }),
  ]);
  const { engine } = wired;
  made.defer(() => (standing.isOurs ? engine[Symbol.asyncDispose]() : undefined));
  // A successor may have what is left once all of it is stopped.
  made.defer(() => standing.handOver?.[Symbol.asyncDispose]());
  warnings.push(...wired.warnings);
  const preparing = engine.prepare();
  preparing.catch(() => {});

  const logs = made.use(
    createLogBook({
      directory: join(config.dataDir, 'logs'),
      clock,
      logger,
      limits: { maxBytes: config.logMaxBytes, maxLinesPerSecond: config.logMaxLinesPerSecond },
    }),
  );
  const metrics = createMetrics({
    functions: () => functionGauges({ registry, pools, elsewhere: later.front?.elsewhere() ?? NOTHING_ELSEWHERE }),
    spares: () => spares.ready,
    usage: () => meter.totals(),
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
  const meter = new UsageMeter({
    instances: () => pools.everyInstance(),
    isThere: (namespace, name) => registry.resolve(namespace, name) !== undefined,
    stats: (id) => engine.stats(id),
    clock,
  });

  // Clients on this machine may have read the one of the server that is replaced.
  const localToken = predecessor?.localToken ?? createLocalToken();
  const authenticator = createAuthenticator({
    adminSecretHash: admin.hash,
    user: admin.user,
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
  const deploys = createAcceptedDeploys({
    registry: withoutRollouts(everywhere, rollouts),
    store,
    isServing: (version) => pools.replicas(version).ready > 0,
    clock,
    logger,
  });
  later.deploys = deploys;
  const shownInApis = {
    registry: withoutRollouts(everywhere, rollouts),
    namespaces: feed ? limitedEverywhere(namespaces, feed) : namespaces,
    secrets,
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
    health: () => health.now(),
    logger,
    clock,
    onAnswered: (request: AnsweredRequest) => metrics.answered(request),
  } as const;
  const openFaas = made.use(
    await createOpenFaasApi({
      ...shownInApis,
      storeFiles: config.storeFiles,
      deploys,
      invocationCount: (namespace, name) => metrics.invocationCount(namespace, name),
      usage: (namespace, name) => meter.usage(namespace, name),
      isProtected: config.basicAuth === 'on',
    }),
  );
  const api = made.use(
    await createApi({
      ...shownInApis,
      rollouts,
      code,
      invocations: calls.invocations,
      jobs,
      ...calls.outcomes,
      signingKeys,
      engineFindings: async () => (await engine.probe()).findings,
    }),
  );

  // Instances need what `prepare` makes; a daemon that is down now is tried again by the first create.
  await preparing.catch((error: unknown) => {
    warnings.push(`the engine could not be prepared: ${asEbbError(error).message}`);
  });
  made.adopt(pools, (all) => all.close());
  made.use(rollouts);
  made.use(deploys);
  // Before the instances that its calls are on are stopped.
  made.use(jobs);
  const startPools = async () => {
    await pools.start(registry);
    loop.start();
    // Before the first call: it finds the weights as they are meant to be.
    await rollouts.start();
    await deploys.start();
    await jobs.start();
  };
  if (!predecessor) await startPools();

  const builder = await wireBuilder({ config, engine, clock, logger });
  const gate = createApiGate((request, response) => {
    if (builder?.handle(request, response) === true) return;
    (openFaas.owns(request.url ?? '') ? openFaas : api).handle(request, response);
  });
  const door = new AsyncDoor({
    routes,
    authenticator,
    acceptor: calls.acceptance,
    calls: calls.invocations,
    gateway,
    gate,
  });
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
  const metricsServer = await openMetrics({
    listen: config.metricsListen,
    isDefault: origins.metricsListen === 'default',
    isTakeover: predecessor !== undefined,
    metrics,
    health: () => health.now(),
    onWarning: (warning) => warnings.push(warning),
  });
  if (metricsServer) made.use(metricsServer);

  const url = clientUrl({ host: config.listen.host, port: opened.port });
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
  made.use(startCodeSweep({ registry, pools, code }));

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
      deploys,
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
    current: config,
    read: () => settings.readAgain(),
    apply: (next) => {
      logger.level = next.logLevel;
      opened.setDrainTimeout(next.drainTimeoutMs);
      rebound({ ...next, maxFrozenBytes: frozenBytesOf(next) });
    },
    logger,
  });
  const close = createClosing({
    handOver,
    calls,
    front: opened,
    jobs,
    api: {
      async [Symbol.asyncDispose]() {
        await Promise.all([api[Symbol.asyncDispose](), builder?.[Symbol.asyncDispose]()]);
      },
    },
    health,
    isReplaced: () => standing.isReplaced,
    rest: made.move(),
  });
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
    close,
    [Symbol.asyncDispose]: close,
  };
}

function frozenBytesOf({ maxFrozenBytes }: Config): number {
  return maxFrozenBytes ?? totalmem() / 2;
}
