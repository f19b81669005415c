import { startPhases, type StartReport, type WaitCause } from '@ebb/contract';
import { collectDefaultMetrics, type Counter, Registry } from 'prom-client';
import { type AsyncGauges, createAsyncMetrics } from './async-metrics.ts';
import { type CountedCalls, labelOf } from './call-tally.ts';
import { createCopyMetrics } from './copy-metrics.ts';
import { type CountedCopies, createCopyTally } from './copy-tally.ts';
import type { DurationSeries } from './duration-histogram.ts';
import type { InvocationEvent } from './invocation-event.ts';
import { addJobMetrics, type JobGauges } from './job-metrics.ts';
import { createMetricFamilies } from './metric-families.ts';

/** How a function stands, read at each scrape. */
export interface FunctionGauges {
  readonly namespace: string;
  readonly name: string;
  /** Ready instances of the serving version. */
  readonly instances: number;
  /** Calls waiting for a slot. */
  readonly waiting: number;
  /** Of the ready instances, those that are frozen. */
  readonly frozen: number;
}

/** What the metrics read from outside. */
export interface MetricsOptions {
  /** Asked at each scrape; functions it no longer names vanish from the gauges. */
  readonly functions?: () => Iterable<FunctionGauges>;
  /** Instances without code that are ready to be taken, asked at each scrape. */
  readonly spares?: () => number;
  /** How asynchronous calls stand, asked at each scrape. */
  readonly asyncCalls?: () => Promise<readonly AsyncGauges[]>;
  /** How batch jobs stand, asked at each scrape. */
  readonly jobs?: () => Iterable<JobGauges>;
}

/** The platform's metrics in Prometheus' text format. */
export interface Metrics {
  /** Counts an invocation. Costs about a microsecond; called in batches by the telemetry. */
  record(event: InvocationEvent): void;
  /** Counts an instance that has started, and `calls` that waited for it. */
  started(start: StartReport, calls: number): void;
  /** Counts an asynchronous call that somebody wanted accepted. */
  offered(outcome: 'accepted' | 'duplicate' | 'refused'): void;
  /** Counts how an attempt left its asynchronous call. */
  settled(outcome: 'succeeded' | 'retry' | 'dead' | 'cancelled'): void;
  /** Counts what another process has counted. */
  merge(counted: CountedCalls): void;
  /** The same for copies of calls. */
  mergeCopies(counted: readonly CountedCopies[]): void;
  /** Calls of a function that have ended since the server was started. */
  invocationCount(namespace: string, name: string): number;
  /** Forgets the series of a removed function. */
  forget(namespace: string, name: string): void;
  /** The page a scraper gets, with its content type. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Children of the labelled metrics for one function, so that counting looks up no labels. */
interface Series {
  readonly codes: Map<
    number,
    { readonly total: Counter.Internal; readonly seconds: DurationSeries; uncounted: number }
  >;
  readonly started: Counter.Internal;
  readonly cold: Counter.Internal;
  readonly queue: DurationSeries;
}

/**
 * Makes the metrics with a registry of their own. The `gateway_` names and labels are those existing dashboards and
 * alert rules of the field read; `function_name` is `NAME.NAMESPACE`.
 */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  const families = createMetricFamilies(registry);
  const labelNames = ['function_name', 'code'] as const;
  const total = families.counter(
    'gateway_function_invocation_total',
    'Invocations that ended, by the status the caller got.',
    labelNames,
  );
  const seconds = families.durations(
    'gateway_functions_seconds',
    'Time from the arrival of a call to the last byte of its answer.',
    labelNames,
  );
  const started = families.counter(
    'gateway_function_invocation_started',
    'Invocations that were accepted; counted when they end.',
    ['function_name'],
  );
  const cold = families.counter('ebb_cold_starts_total', 'Invocations that waited for an instance to start.', [
    'function_name',
  ]);
  const waited = families.counter('ebb_calls_waited_total', 'Invocations that waited, by what for.', ['cause']);
  const queue = families.durations('ebb_queue_seconds', 'Time invocations waited for a slot.', ['function_name']);
  const instances = families.gauge('gateway_service_count', 'Ready instances of the serving version.', [
    'function_name',
  ]);
  const waiting = families.gauge('ebb_queue_waiting', 'Invocations waiting for a slot now.', ['function_name']);
  const frozen = families.gauge('ebb_instances_frozen', 'Ready instances of the serving version that are frozen.', [
    'function_name',
  ]);
  const spares = families.gauge(
    'ebb_spares_ready',
    'Instances without code that are ready to become one of a function.',
  );
  const starts = families.counter(
    'ebb_instance_starts_total',
    'Instances that were started, by why they were wanted and whether a spare was used.',
    ['cause', 'spare'],
  );
  const phaseSeconds = families.durations(
    'ebb_cold_start_phase_seconds',
    'Time that each part of a start took which calls waited for.',
    ['phase'],
  );
  collectDefaultMetrics({ register: registry });
  const copies = createCopyTally();
  const copyMetrics = createCopyMetrics(families);
  const asyncMetrics = createAsyncMetrics(families, options.asyncCalls);
  addJobMetrics(families, options.jobs);
  const functions = new Map<string, Series>();
  const causes = new Map<WaitCause, Counter.Internal>();

  function causeOf(cause: WaitCause): Counter.Internal {
    const known = causes.get(cause);
    if (known) return known;
    const made = waited.labels(cause);
    causes.set(cause, made);
    return made;
  }

  function seriesOf(label: string): Series {
    const known = functions.get(label);
    if (known) return known;
    const made: Series = {
      codes: new Map(),
      started: started.labels(label),
      cold: cold.labels(label),
      queue: queue.labels(label),
    };
    functions.set(label, made);
    return made;
  }

  function codeOf(series: Series, label: string, status: number) {
    const known = series.codes.get(status);
    if (known) return known;
    const code = String(status);
    const made = { total: total.labels(label, code), seconds: seconds.labels(label, code), uncounted: 0 };
    series.codes.set(status, made);
    return made;
  }

  /** Counters are brought up to date when somebody looks: adding up here is cheaper than there, call by call. */
  function countUp(): void {
    for (const series of functions.values()) {
      for (const counted of series.codes.values()) {
        counted.total.inc(counted.uncounted);
        series.started.inc(counted.uncounted);
        counted.uncounted = 0;
      }
    }
  }

  function readGauges(): void {
    instances.reset();
    waiting.reset();
    frozen.reset();
    spares.set(options.spares?.() ?? 0);
    for (const gauge of options.functions?.() ?? []) {
      const label = `${gauge.name}.${gauge.namespace}`;
      instances.labels(label).set(gauge.instances);
      waiting.labels(label).set(gauge.waiting);
      frozen.labels(label).set(gauge.frozen);
    }
  }

  return {
    record(event) {
      if (event.shadow) {
        copies.record(event, event.shadow);
        return;
      }
      const label = labelOf(event);
      const series = seriesOf(label);
      const counted = codeOf(series, label, event.status);
      counted.uncounted += 1;
      counted.seconds.observe(event.durationMs / 1000);
      series.queue.observe(event.phases.queueMs / 1000);
      if (event.cold) series.cold.inc();
      if (event.wait) causeOf(event.wait.cause).inc();
    },
    started(start, calls) {
      starts.labels(start.cause, start.spare).inc();
      if (calls === 0) return;
      for (const [phase, ms] of startPhases(start)) phaseSeconds.labels(phase).observe(ms / 1000);
    },
    offered: (outcome) => asyncMetrics.offered(outcome),
    settled: (outcome) => asyncMetrics.settled(outcome),
    merge({ label, codes, cold: coldCount, waited: waits, queue: queued }) {
      const series = seriesOf(label);
      for (const { status, count, seconds: took } of codes) {
        const counted = codeOf(series, label, status);
        counted.uncounted += count;
        counted.seconds.add(took);
      }
      series.queue.add(queued);
      if (coldCount > 0) series.cold.inc(coldCount);
      for (const [cause, count] of waits) causeOf(cause).inc(count);
    },
    mergeCopies: (counted) => copyMetrics.add(counted),
    invocationCount(namespace, name) {
      const codes = functions.get(`${name}.${namespace}`)?.codes.values() ?? [];
      return [...codes].reduce((sum, { seconds: { counts } }) => sum + counts.reduce((all, one) => all + one, 0), 0);
    },
    forget(namespace, name) {
      const label = `${name}.${namespace}`;
      copyMetrics.forget(label);
      for (const status of functions.get(label)?.codes.keys() ?? []) {
        total.remove(label, String(status));
        seconds.remove(label, String(status));
      }
      for (const metric of [started, cold, queue]) metric.remove(label);
      functions.delete(label);
    },
    async expose() {
      countUp();
      copyMetrics.add(copies.take());
      readGauges();
      await asyncMetrics.read();
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}
