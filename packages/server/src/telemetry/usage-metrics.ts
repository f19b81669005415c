import type { MetricFamilies } from './metric-families.ts';
import { readIn } from './read-in.ts';

/** What the instances of a function use together. */
export interface UsageGauges {
  readonly namespace: string;
  readonly name: string;
  /** CPU time since the server started; it only grows. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
}

/** A scrape does not wait longer for an engine to measure; then what it said last is shown. */
const READ_MS = 1_000;

/** The metrics of what functions use. */
export interface UsageMetrics {
  /** Brings them up to date for the functions there are, by label, and forgets all others. A moment at most. */
  read(functions: ReadonlyMap<string, { readonly namespace: string }>): Promise<void>;
}

/** Makes them; `usage` is asked at each scrape. */
export function createUsageMetrics(
  families: MetricFamilies,
  usage: () => Promise<readonly UsageGauges[]> = () => Promise.resolve([]),
): UsageMetrics {
  const labelNames = ['function_name', 'namespace'] as const;
  const cpu = families.counter(
    'pod_cpu_usage_seconds_total',
    'CPU time that the instances of the function have used.',
    labelNames,
  );
  const memory = families.gauge(
    'pod_memory_working_set_bytes',
    'Memory that the instances of the function use now.',
    labelNames,
  );
  const shown = new Map<string, { readonly namespace: string; cpuMs: number }>();
  return {
    async read(functions) {
      const found = await readIn(READ_MS, usage);
      const used = new Map(found?.map((one) => [`${one.name}.${one.namespace}`, one]));
      for (const [label, { namespace }] of shown) {
        if (functions.has(label)) continue;
        cpu.remove(label, namespace);
        memory.remove(label, namespace);
        shown.delete(label);
      }
      for (const [label, { namespace }] of functions) {
        const last = shown.get(label) ?? { namespace, cpuMs: 0 };
        const { cpuMs, memoryBytes } = used.get(label) ?? { cpuMs: last.cpuMs, memoryBytes: found ? 0 : undefined };
        cpu.labels(label, namespace).inc(Math.max(0, cpuMs - last.cpuMs) / 1000);
        if (memoryBytes !== undefined) memory.labels(label, namespace).set(memoryBytes);
        shown.set(label, { namespace, cpuMs });
      }
    },
  };
}
