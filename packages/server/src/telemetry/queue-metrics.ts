import type { AsyncGauges } from './async-metrics.ts';
import type { MetricFamilies } from './metric-families.ts';

/** The metrics of asynchronous calls under the names that dashboards of the field know from queue workers. */
export interface QueueMetrics {
  /** Counts a call that was accepted for the function of a label. */
  submitted(label: string): void;
  /** Counts a call that has ended, whatever way. */
  processed(label: string): void;
  /** Shows the functions there are, by label, and of the given gauges those that are theirs; forgets all others. */
  show(functions: ReadonlyMap<string, { readonly queue: string }>, gauges: readonly AsyncGauges[] | undefined): void;
}

interface Calls {
  submitted: number;
  processed: number;
}

/** Makes them. */
export function createQueueMetrics(families: MetricFamilies): QueueMetrics {
  const labelNames = ['queue_name', 'function_name'] as const;
  const pending = families.gauge(
    'queue_worker_pending_messages',
    'Asynchronous calls of the function that wait for their first or next attempt.',
    labelNames,
  );
  const inflight = families.gauge(
    'queue_worker_function_invocation_inflight',
    'Asynchronous calls of the function with an attempt under way.',
    labelNames,
  );
  const submitted = families.counter(
    'queue_worker_messages_submitted_total',
    'Asynchronous calls of the function that were accepted.',
    labelNames,
  );
  const processed = families.counter(
    'queue_worker_messages_processed_total',
    'Asynchronous calls of the function that have ended, attempts that are made again not counted.',
    labelNames,
  );
  const uncounted = new Map<string, Calls>();
  const shown = new Map<string, string>();

  function callsOf(label: string): Calls {
    const known = uncounted.get(label);
    if (known) return known;
    const made = { submitted: 0, processed: 0 };
    uncounted.set(label, made);
    return made;
  }

  return {
    submitted: (label) => void (callsOf(label).submitted += 1),
    processed: (label) => void (callsOf(label).processed += 1),
    show(functions, gauges) {
      for (const [label, queue] of shown) {
        // A function may be given another queue.
        if (functions.get(label)?.queue === queue) continue;
        for (const metric of [pending, inflight, submitted, processed]) metric.remove(queue, label);
        shown.delete(label);
      }
      const standing = gauges && new Map(gauges.map((one) => [one.label, one]));
      for (const [label, { queue }] of functions) {
        const counted = uncounted.get(label);
        submitted.labels(queue, label).inc(counted?.submitted ?? 0);
        processed.labels(queue, label).inc(counted?.processed ?? 0);
        const { queued = 0, running = 0 } = standing?.get(label) ?? {};
        // Where the queue does not answer: what it said last.
        if (standing || !shown.has(label)) {
          pending.labels(queue, label).set(queued);
          inflight.labels(queue, label).set(running);
        }
        shown.set(label, queue);
      }
      uncounted.clear();
    },
  };
}
