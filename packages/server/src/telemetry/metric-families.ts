import { Counter, Gauge, type Metric, type Registry } from 'prom-client';
import { SECONDS } from './call-tally.ts';
import { DurationHistogram } from './duration-histogram.ts';

/** Makes families of series in one registry: a name, what it says, and the labels that tell its series apart. */
export interface MetricFamilies {
  counter<L extends string>(name: string, help: string, labelNames?: readonly L[]): Counter<L>;
  /** `collect` brings it up to date at each scrape. */
  gauge<L extends string>(
    name: string,
    help: string,
    labelNames?: readonly L[],
    collect?: (gauge: Gauge<L>) => void,
  ): Gauge<L>;
  /** Durations in the buckets of {@link SECONDS}. */
  durations(name: string, help: string, labelNames: readonly string[]): DurationHistogram;
}

/** Makes the {@link MetricFamilies} of a registry. */
export function createMetricFamilies(registry: Registry): MetricFamilies {
  const registers = [registry];
  return {
    counter: (name, help, labelNames = []) => new Counter({ name, help, labelNames, registers }),
    gauge: (name, help, labelNames = [], collect = () => {}) =>
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          collect(this);
        },
      }),
    durations(name, help, labelNames) {
      const made = new DurationHistogram({ name, help, labelNames, bounds: SECONDS });
      registry.registerMetric(made as unknown as Metric);
      return made;
    },
  };
}
