import { setImmediate } from 'node:timers/promises';
import { startPhases, type StartReport, type WaitCause } from '@ebb/contract';
import { collectDefaultMetrics, type Counter, Registry } from 'prom-client';
import type { AnsweredRequest } from '../core/ports.ts';
import { type AsyncGauges, createAsyncMetrics } from './async-metrics.ts';
import { type CountedCalls, labelOf, UNKNOWN } from './call-tally.ts';
import { createCopyMetrics } from './copy-metrics.ts';
import { type CountedCopies, createCopyTally } from './copy-tally.ts';
import type { DurationSeries } from './duration-histogram.ts';
import { createFunctionMetrics, type FunctionGauges } from './function-metrics.ts';
import type { InvocationEvent } from './invocation-event.ts';
import { addJobMetrics, type JobGauges } from './job-metrics.ts';
import { createMetricFamilies } from './metric-families.ts';
import { createQueueMetrics } from './queue-metrics.ts';
import { createRequestMetrics } from './request-metrics.ts';
import { createStartedCalls, type StartedCalls } from './started-calls.ts';
import { createUsageMetrics, type UsageGauges } from './usage-metrics.ts';

/** What the metrics read from outside. */
export interface MetricsOptions {
  /** Asked at each scrape: functions it names have series from then on, and those of others vanish. */
  readonly functions?: () => Iterable<FunctionGauges>;
  /** Instances without code that are ready to be taken, asked at each scrape. */
  readonly spares?: () => number;
  /** What functions use, asked at each scrape. */
  readonly usage?: () => Promise<readonly UsageGauges[]>;
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
  /** Counts a request to the platform itself. */
  answered(request: AnsweredRequest): void;
  /** Counts an asynchronous call that somebody wanted accepted; `label` is that of its function, if it is for one. */
  offered(outcome: 'accepted' | 'duplicate' | 'refused', label?: string): void;
  /** Counts how an attempt left its asynchronous call. */
  settled(outcome: 'succeeded' | 'retry' | 'dead' | 'cancelled', label?: string): void;
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
  readonly started: StartedCalls;
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
  const started = families.counter('gateway_function_invocation_started', 'Invocations that have begun.', [
    'function_name',
  ]);
  const cold = families.counter('ebb_cold_starts_total', 'Invocations that waited for an instance to start.', [
    'function_name',
  ]);
  const waited = families.counter('ebb_calls_waited_total', 'Invocations that waited, by what for.', ['cause']);
  const queue = families.durations('ebb_queue_seconds', 'Time invocations waited for a slot.', ['function_name']);
  const functionMetrics = createFunctionMetrics(families);
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
  const queueMetrics = createQueueMetrics(families);
  const usageMetrics = createUsageMetrics(families, options.usage);
  const answered = createRequestMetrics(families);
  const functions = new Map<string, Series>();
  /** Of every function there is, also those that were not called yet. */
  const startedCalls = new Map<string, StartedCalls>();
  const causes = new Map<WaitCause, Counter.Internal>();

  function causeOf(cause: WaitCause): Counter.Internal {
    const known = causes.get(cause);
    if (known) return known;
    const made = waited.labels(cause);
    causes.set(cause, made);
    return made;
  }

  function startedOf(label: string): StartedCalls {
    const known = startedCalls.get(label);
    if (known) return known;
    const made = createStartedCalls(started.labels(label));
    startedCalls.set(label, made);
    return made;
  }

  function seriesOf(label: string): Series {
    const known = functions.get(label);
    if (known) return known;
    const made: Series = {
      codes: new Map(),
      started: startedOf(label),
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
        series.started.ended(counted.uncounted);
        counted.uncounted = 0;
      }
    }
  }

  function forgetLabel(label: string): void {
    copyMetrics.forget(label);
    for (const status of functions.get(label)?.codes.keys() ?? []) {
      total.remove(label, String(status));
      seconds.remove(label, String(status));
    }
    total.remove(label, '200');
    for (const metric of [started, cold, queue]) metric.remove(label);
    functions.delete(label);
    startedCalls.delete(label);
  }

  function readFunctions(): ReadonlyMap<string, FunctionGauges> {
    const standing = options.functions && [...options.functions()];
    const listed = new Map(standing?.map((one) => [`${one.name}.${one.namespace}`, one]));
    // Calls that ended after their function was removed have made series again.
    const isKept = (label: string) => label === UNKNOWN || listed.has(label);
    if (standing) for (const label of startedCalls.keys()) if (!isKept(label)) forgetLabel(label);
    for (const label of listed.keys()) {
      startedOf(label);
      // So that a rate can be taken of the first calls.
      total.labels(label, '200').inc(0);
    }
    for (const [label, calls] of startedCalls) calls.show(listed.get(label)?.running ?? 0);
    functionMetrics.show(listed);
    return listed;
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
    answered,
    offered(outcome, label) {
      asyncMetrics.offered(outcome);
      if (label !== undefined && outcome === 'accepted') queueMetrics.submitted(label);
    },
    settled(outcome, label) {
      asyncMetrics.settled(outcome);
      if (label !== undefined && outcome !== 'retry') queueMetrics.processed(label);
    },
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
    forget: (namespace, name) => forgetLabel(`${name}.${namespace}`),
    async expose() {
      countUp();
      copyMetrics.add(copies.take());
      spares.set(options.spares?.() ?? 0);
      const listed = readFunctions();
      const [asyncCalls] = await Promise.all([asyncMetrics.read(), usageMetrics.read(listed)]);
      queueMetrics.show(listed, asyncCalls);
      return { contentType: registry.contentType, text: await writePage(registry) };
    },
  };
}

/** With thousands of functions a page takes a while to write, so calls are served in between. */
async function writePage(registry: Registry): Promise<string> {
  const families: string[] = [];
  for (const { name } of registry.getMetricsAsArray()) {
    families.push(await registry.getSingleMetricAsString(name));
    await setImmediate();
  }
  return `${families.join('\n\n')}\n`;
}
