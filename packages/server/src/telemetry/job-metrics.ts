import { Gauge, type Registry } from 'prom-client';

/** How the batch jobs of a namespace stand. */
export interface JobGauges {
  readonly namespace: string;
  /** Jobs that have not ended. */
  readonly open: number;
  /** Their tasks that wait for their first or next attempt, and that run. */
  readonly queued: number;
  readonly running: number;
}

/** Adds the metrics about batch jobs to a registry; `gauges` is asked at each scrape. */
export function addJobMetrics(registry: Registry, gauges: () => Iterable<JobGauges> = () => []): void {
  const open = new Gauge({
    name: 'ebb_jobs_open',
    help: 'Batch jobs that have not ended.',
    labelNames: ['namespace'],
    registers: [],
    collect() {
      this.reset();
      for (const one of gauges()) this.labels(one.namespace).set(one.open);
    },
  });
  const tasks = new Gauge({
    name: 'ebb_job_tasks',
    help: 'Tasks of batch jobs that have not ended, by whether they wait or run.',
    labelNames: ['namespace', 'state'],
    registers: [],
    collect() {
      this.reset();
      for (const { namespace, queued, running } of gauges()) {
        this.labels(namespace, 'queued').set(queued);
        this.labels(namespace, 'running').set(running);
      }
    },
  });
  registry.registerMetric(open);
  registry.registerMetric(tasks);
}
