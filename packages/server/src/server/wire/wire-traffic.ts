import { type NamespaceResource, resolveRate } from '@ebb/contract';
import type { Config } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { FunctionRegistry, LogBook, NamespaceRegistry } from '../../core/ports.ts';
import type { FindVersion } from '../../gateway/called-versions.ts';
import { Gateway, type GatewayOptions } from '../../gateway/gateway.ts';
import { createInvoker, type PlatformInvoker } from '../../gateway/invoker.ts';
import { RateGates } from '../../gateway/rate-gates.ts';
import { RouteTable } from '../../gateway/route-table.ts';
import { createRouteFeed, knownEverywhere, type RouteFeed } from '../../gateways/route-feed.ts';
import type { InstancePools } from '../../pool/instance-pools.ts';
import { createRollouts, type RolloutEngine } from '../../rollouts/create-rollouts.ts';
import type { KeyValue } from '../../store/key-value.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { createTelemetry } from '../../telemetry/telemetry.ts';
import { createVersionTally } from '../../telemetry/version-tally.ts';

/** What {@link wireTraffic} joins. */
export interface WireTrafficOptions {
  readonly config: Pick<Config, 'gateways' | 'domain'>;
  readonly registry: FunctionRegistry;
  readonly namespaces: Pick<NamespaceRegistry, 'list' | 'watch'>;
  readonly store: KeyValue;
  readonly pools: InstancePools;
  readonly authenticator: GatewayOptions['authenticator'];
  readonly metrics: Metrics;
  readonly logs: LogBook;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What decides which version a call goes to, and sees what became of it. */
export interface Traffic extends AsyncDisposable {
  readonly gateway: Gateway;
  /** Calls functions for the platform itself; the pools are in this process, however many gateways there are. */
  readonly invoker: PlatformInvoker;
  readonly routes: RouteTable;
  /** Tells gateway processes, where there are any. */
  readonly feed: RouteFeed | undefined;
  /** The registry, whose changes are in force in every gateway when they are done. */
  readonly everywhere: FunctionRegistry;
  /** Not started yet. */
  readonly rollouts: RolloutEngine;
  readonly rates: RateGates;
  readonly findVersion: FindVersion;
}

/** Joins gateway, limits and rollouts with the registry and the pools. */
export function wireTraffic(options: WireTrafficOptions): Traffic {
  const { config, registry, namespaces, store, pools, authenticator, metrics, logs, clock, logger } = options;
  const made = new AsyncDisposableStack();
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
  return {
    gateway,
    invoker: createInvoker({ context: gateway, routes, refusal: () => gateway.refusal }),
    routes,
    feed,
    everywhere,
    rollouts,
    rates,
    findVersion,
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };
}
