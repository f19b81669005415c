import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { FunctionRegistry, Invoker, LogBook, NamespaceRegistry, SecretRegistry } from '../../core/ports.ts';
import type { Engine } from '../../engines/engine.ts';
import { createJobAdmission } from '../../jobs/admit-job.ts';
import { createAttemptRunner } from '../../jobs/attempt-runner.ts';
import { createJobs, type JobEngine } from '../../jobs/create-jobs.ts';
import { createJobStore } from '../../jobs/job-store.ts';
import { createResultFiles } from '../../jobs/result-files.ts';
import type { InstancePools } from '../../pool/instance-pools.ts';
import type { KeyValue } from '../../store/key-value.ts';

/** Calls of functions by all jobs at once; the functions' own limits are lower. */
const MOST_CALLS = 1_000;
const LEAST_TASKS = 8;
const TASKS_A_CORE = 4;

/** What {@link wireJobs} joins. */
export interface WireJobsOptions {
  readonly config: Pick<
    Config,
    'dataDir' | 'jobMaxTasks' | 'jobsKeptMs' | 'asyncMaxPayloadBytes' | 'memoryBudgetBytes'
  >;
  readonly installation: string;
  readonly generation: string;
  readonly engine: Engine;
  readonly store: KeyValue;
  readonly registry: FunctionRegistry;
  readonly namespaces: NamespaceRegistry;
  readonly secrets: SecretRegistry;
  readonly invoker: Invoker;
  readonly pools: Pick<InstancePools, 'all'>;
  readonly logs: LogBook;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Joins what runs batch jobs; it is not started yet. */
export function wireJobs(options: WireJobsOptions): JobEngine {
  const { config, engine, namespaces, registry, secrets, pools, logs, clock, logger } = options;
  const runs = engine.tasks;
  const results = createResultFiles(join(config.dataDir, 'jobs'), config.asyncMaxPayloadBytes);
  const maxContainers = config.jobMaxTasks || Math.max(LEAST_TASKS, TASKS_A_CORE * availableParallelism());
  const runner = createAttemptRunner({ ...options, runs, results });
  return createJobs({
    store: createJobStore(options.store),
    results,
    runner,
    runs,
    admission: createJobAdmission({ engine, registry, secrets }),
    logs,
    clock,
    logger,
    keptMs: config.jobsKeptMs,
    room: () => ({
      maxContainers,
      maxCalls: MOST_CALLS,
      namespaceLimit: (namespace) => namespaces.get(namespace)?.limits?.concurrency,
      // Asked whenever a task may begin: without a budget nothing is added up for it.
      memoryBytes:
        config.memoryBudgetBytes === undefined ? Number.POSITIVE_INFINITY : config.memoryBudgetBytes - bytesOf(pools),
    }),
  });
}

/** Memory that instances of functions may take. */
function bytesOf(pools: Pick<InstancePools, 'all'>): number {
  let bytes = 0;
  for (const { version, ready } of pools.all()) bytes += ready * version.limits.memoryBytes;
  return bytes;
}
