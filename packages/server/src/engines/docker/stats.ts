import type { InstanceStats } from '../engine.ts';

/** The parts of the engine's one-shot statistics that are read. */
export interface DockerStats {
  readonly memory_stats?: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> };
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly pids_stats?: { readonly current?: number };
}

/**
 * Reads the engine's statistics. Memory is what cannot be taken back: usage without inactive page cache, which is
 * `total_inactive_file` on cgroup v1 and `inactive_file` on v2.
 */
export function toInstanceStats(stats: DockerStats): InstanceStats {
  const memory = stats.memory_stats;
  const cache = memory?.stats?.['total_inactive_file'] ?? memory?.stats?.['inactive_file'] ?? 0;
  const pids = stats.pids_stats?.current;
  return {
    memoryBytes: Math.max((memory?.usage ?? 0) - cache, 0),
    cpuMs: (stats.cpu_stats?.cpu_usage?.total_usage ?? 0) / 1e6,
    ...(pids === undefined ? {} : { pids }),
  };
}
