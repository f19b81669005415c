/** One line of a metrics page, as prom-client's registry prints it. */
interface MetricValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** The observations under one set of label values. */
export class DurationSeries {
  /** Observations up to each bound and above the one before; the last has no bound. */
  readonly counts: number[];
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** Counts one duration, in seconds. */
  observe(seconds: number): void {
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && seconds > (bounds[index] as number)) index += 1;
    this.counts[index] = (this.counts[index] as number) + 1;
    this.sum += seconds;
  }

  /** Counts what was observed elsewhere, under the same bounds. */
  add(observed: { readonly counts: readonly number[]; readonly sum: number }): void {
    for (const [index, count] of observed.counts.entries()) {
      if (index < this.counts.length) this.counts[index] = (this.counts[index] as number) + count;
    }
    this.sum += observed.sum;
  }
}

/**
 * A histogram that prom-client's registry exposes like one of its own. Counting costs a few nanoseconds instead of half
 * a microsecond, because buckets are added up when the page is read.
 */
export class DurationHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #labelNames: readonly string[];
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, { readonly values: readonly string[]; readonly series: DurationSeries }>();

  constructor(options: {
    readonly name: string;
    readonly help: string;
    readonly labelNames: readonly string[];
    /** Upper bounds in seconds, ascending. */
    readonly bounds: readonly number[];
  }) {
    this.name = options.name;
    this.help = options.help;
    this.#labelNames = options.labelNames;
    this.#bounds = options.bounds;
  }

  /** The series of some label values, in the order of the names; made when it is first asked for. */
  labels(...values: readonly string[]): DurationSeries {
    const key = values.join('\n');
    const known = this.#series.get(key);
    if (known) return known.series;
    const series = new DurationSeries(this.#bounds);
    this.#series.set(key, { values, series });
    return series;
  }

  /** Forgets a series. */
  remove(...values: readonly string[]): void {
    this.#series.delete(values.join('\n'));
  }

  /** Forgets every series. */
  reset(): void {
    this.#series.clear();
  }

  /** What the registry asks for at each scrape. */
  get(): Promise<{
    readonly name: string;
    readonly help: string;
    readonly type: 'histogram';
    readonly aggregator: 'sum';
    readonly values: readonly MetricValue[];
  }> {
    const values = [...this.#series.values()].flatMap((one) => this.#lines(one.values, one.series));
    return Promise.resolve({ name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values });
  }

  #lines(labelValues: readonly string[], { counts, sum }: DurationSeries): MetricValue[] {
    const labels = Object.fromEntries(this.#labelNames.map((name, index) => [name, labelValues[index] ?? '']));
    let count = 0;
    const lines: MetricValue[] = counts.map((added, index) => {
      count += added;
      const le = this.#bounds[index] ?? '+Inf';
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count };
    });
    lines.push({ metricName: `${this.name}_sum`, labels, value: sum });
    lines.push({ metricName: `${this.name}_count`, labels, value: count });
    return lines;
  }
}
