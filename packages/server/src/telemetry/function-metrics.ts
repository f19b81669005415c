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
  /** Has the page show how the functions of the labels stand, and no others, when it is made next. */
  show(functions: ReadonlyMap<string, FunctionGauges>): void;
}

/** Makes them; the `gateway_` names and labels are those that existing dashboards of the field read. */
export function createFunctionMetrics(families: MetricFamilies): FunctionMetrics {
  let shown: ReadonlyMap<string, FunctionGauges> = new Map();
  const add = (name: string, help: string, read: (gauges: FunctionGauges) => number) =>
    families.gauge(name, help, ['function_name'], (gauge) => {
      gauge.reset();
      for (const [label, gauges] of shown) gauge.labels(label).set(read(gauges));
    });
  add('gateway_service_count', 'Instances of the function there are to be now.', ({ replicas }) => replicas);
  add('gateway_service_ready_count', 'Ready instances of the versions that serve.', ({ ready }) => ready);
  add('gateway_service_min', 'Fewest instances of the function under load.', ({ min }) => min);
  add('gateway_function_invocation_inflight', 'Invocations that have begun and not ended.', ({ running }) => running);
  add('ebb_queue_waiting', 'Invocations waiting for a slot now.', ({ waiting }) => waiting);
  add('ebb_instances_frozen', 'Ready instances of the versions that serve that are frozen.', ({ frozen }) => frozen);
  families.gauge(
    'gateway_service_target_load',
    'Load that one instance of the function is meant to bear, by what its number of instances follows.',
    ['function_name', 'scaling_type'],
    (gauge) => {
      gauge.reset();
      for (const [label, { target }] of shown) gauge.labels(label, target.scalingType).set(target.load);
    },
  );
  return {
    show(functions) {
      shown = functions;
    },
  };
}
