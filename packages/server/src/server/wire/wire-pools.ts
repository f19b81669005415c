import { functionSpecSchema, type KeepAlive, resolveLimits } from '@ebb/contract';
import { ScaleLoop } from '../../autoscaler/scale-loop.ts';
import { CallLimits } from '../../pool/call-limits.ts';
import { ExitWatch } from '../../pool/exit-watch.ts';
import { InstancePools, type InstancePoolsOptions } from '../../pool/instance-pools.ts';
import { createLauncher, type LauncherOptions } from '../../pool/launcher.ts';
import type { SpareShape } from '../../pool/decide-spare-shape.ts';
import { StartBudget } from '../../pool/start-budget.ts';
import { WarmPool } from '../../pool/warm-pool.ts';
import type { VersionPool } from '../../pool/version-pool.ts';

/** What the side that runs instances is made with. */
export interface WirePoolsOptions extends Omit<LauncherOptions, 'exits' | 'spares'> {
  /** Most instances on this host, over all versions. */
  readonly maxInstances: number;
  /** Most instances starting at once. */
  readonly maxConcurrentStarts: number;
  /** Most memory of all instances together, by their limits; absent for no bound. */
  readonly memoryBudgetBytes?: number | undefined;
  /** How long idle instances are kept where a function does not say. Default: fixed. */
  readonly keepAlive?: KeepAlive;
  /** How often CPU use is measured, in milliseconds. Default: 5000. */
  readonly cpuEveryMs?: number;
  /** Instances kept ready without code, of each shape; 0 for none. */
  readonly poolSize: number;
  /** How often idle instances are looked at, in milliseconds. */
  readonly scaleEveryMs: number;
  /** Most memory that frozen instances may take together. */
  readonly maxFrozenBytes: number;
  /** Told of every instance that has started. */
  readonly onStarted?: InstancePoolsOptions['onStarted'];
  readonly heldElsewhere?: InstancePoolsOptions['heldElsewhere'];
}

/** The shape of a function whose spec says nothing about it. */
function usualShape(): SpareShape {
  const spec = functionSpecSchema.parse({ runtime: 'node' });
  const { memoryBytes, tmpBytes } = resolveLimits(spec);
  const { network, readOnlyRootFilesystem } = spec;
  return { runtime: 'node', network, readOnlyRootFilesystem, memoryBytes, tmpBytes };
}

/** The bounds that may be set anew while the server runs. */
export type HostBounds = Pick<
  WirePoolsOptions,
  'maxInstances' | 'maxConcurrentStarts' | 'memoryBudgetBytes' | 'poolSize' | 'maxFrozenBytes'
>;

/** Joins launcher, pools and autoscaler; `pools.start` and `loop.start` set them going. */
export function wirePools(options: WirePoolsOptions): {
  readonly pools: InstancePools;
  readonly loop: ScaleLoop;
  readonly spares: WarmPool;
  /** Sets the bounds of the host anew. */
  readonly rebound: (bounds: HostBounds) => void;
} {
  const { engine, clock, logger, generation, maxInstances, memoryBudgetBytes, scaleEveryMs } = options;
  const exits = new ExitWatch();
  const limits = new CallLimits();
  const budget = new StartBudget(options.maxConcurrentStarts);
  const spares = new WarmPool({
    engine,
    exits,
    budget,
    clock,
    logger,
    installation: options.installation,
    generation,
    size: options.poolSize,
    usual: usualShape(),
    maxInstances,
    instances: () => pools.size,
  });
  const loop = new ScaleLoop({
    all: () => pools.all(),
    maxInstances,
    memoryBudgetBytes,
    everyMs: scaleEveryMs,
    clock,
    stats: (id) => engine.stats(id),
    reservations: () => limits.reservations(),
    ...(options.keepAlive === undefined ? {} : { keepAlive: options.keepAlive }),
    ...(options.cpuEveryMs === undefined ? {} : { cpuEveryMs: options.cpuEveryMs }),
  });
  const pools = new InstancePools({
    engine,
    launcher: createLauncher({ ...options, exits, spares }),
    exits,
    budget,
    spares,
    limits,
    clock,
    logger,
    generation,
    ...(options.onStarted === undefined ? {} : { onStarted: options.onStarted }),
    heldElsewhere: options.heldElsewhere,
    idle: { everyMs: scaleEveryMs, maxFrozenBytes: options.maxFrozenBytes, maxInstances },
    onDemand: (pool: VersionPool) => loop.poke(pool),
  });
  return {
    pools,
    loop,
    spares,
    rebound: (next) => {
      budget.resize(next.maxConcurrentStarts);
      loop.rebound({ maxInstances: next.maxInstances, memoryBudgetBytes: next.memoryBudgetBytes });
      pools.rebound({ maxInstances: next.maxInstances, maxFrozenBytes: next.maxFrozenBytes });
      spares.rebound({ maxInstances: next.maxInstances, size: next.poolSize });
    },
  };
}
