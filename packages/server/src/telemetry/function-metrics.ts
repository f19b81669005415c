import type { MetricFamilies } from './metric-families.ts';

/** How a function stands, read at each scrape. */
export interface FunctionGauges {
  readonly namespace: string;
  readonly name: string;
  /** Instances there are to be now. */
  readonly replicas: number;
  /** Ready instances of the versions that serve. */
  readonly ready: number;
  /** Of these, those that are frozen. */
  readonly frozen: number;
  /** Calls waiting for a slot. */
  readonly waiting: number;
  /** Calls that have begun and not ended, those that wait included. */
  readonly running: number;
  /** Fewest instances under load. */
  readonly min: number;
  /** What the number of its instances follows, and how much of it each is meant to bear. */
  readonly target: { readonly scalingType: string; readonly load: number };
  /** The queue that its asynchronous calls are counted under. */
  readonly queue: string;
}

/** The gauges of functions. */
export interface FunctionMetrics {
  /** Shows how the functions of the labels stand, and of no others. */
  show(functions: ReadonlyMap<string, FunctionGauges>): void;
}

/** Makes them; the `gateway_` names and labels are those that existing dashboards of the field read. */
export function createFunctionMetrics(families: MetricFamilies): FunctionMetrics {
  const gauge = (name: string, help: string) => families.gauge(name, help, ['function_name']);
  const replicas = gauge('gateway_service_count', 'Instances of the function there are to be now.');
  const ready = gauge('gateway_service_ready_count', 'Ready instances of the versions that serve.');
  const min = gauge('gateway_service_min', 'Fewest instances of the function under load.');
  const running = gauge('gateway_function_invocation_inflight', 'Invocations that have begun and not ended.');
  const waiting = gauge('ebb_queue_waiting', 'Invocations waiting for a slot now.');
  const frozen = gauge('ebb_instances_frozen', 'Ready instances of the versions that serve that are frozen.');
  const target = families.gauge(
    'gateway_service_target_load',
    'Load that one instance of the function is meant to bear, by what its number of instances follows.',
    ['function_name', 'scaling_type'],
  );
  return {
    show(functions) {
      for (const one of [replicas, ready, min, running, waiting, frozen, target]) one.reset();
      for (const [label, gauges] of functions) {
        replicas.labels(label).set(gauges.replicas);
        ready.labels(label).set(gauges.ready);
        min.labels(label).set(gauges.min);
        running.labels(label).set(gauges.running);
        waiting.labels(label).set(gauges.waiting);
        frozen.labels(label).set(gauges.frozen);
        target.labels(label, gauges.target.scalingType).set(gauges.target.load);
      }
    },
  };
}
