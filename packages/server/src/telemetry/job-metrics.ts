import type { MetricFamilies } from './metric-families.ts';

/** How the batch jobs of a namespace stand. */
export interface JobGauges {
  readonly namespace: string;
  /** Jobs that have not ended. */
  readonly open: number;
  /** Their tasks that wait for their first or next attempt, and that run. */
  readonly queued: number;
  readonly running: number;
}

/** Adds the metrics about batch jobs; `gauges` is asked at each scrape. */
export function addJobMetrics(families: MetricFamilies, gauges: () => Iterable<JobGauges> = () => []): void {
  families.gauge('ebb_jobs_open', 'Batch jobs that have not ended.', ['namespace'], (open) => {
    open.reset();
    for (const one of gauges()) open.labels(one.namespace).set(one.open);
  });
  const help = 'Tasks of batch jobs that have not ended, by whether they wait or run.';
  families.gauge('ebb_job_tasks', help, ['namespace', 'state'], (tasks) => {
    tasks.reset();
    for (const { namespace, queued, running } of gauges()) {
      tasks.labels(namespace, 'queued').set(queued);
      tasks.labels(namespace, 'running').set(running);
    }
  });
}
