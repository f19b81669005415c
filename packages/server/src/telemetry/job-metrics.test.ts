import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { addJobMetrics, type JobGauges } from './job-metrics.ts';
import { createMetricFamilies } from './metric-families.ts';

test('says by namespace how many jobs are open and how their tasks stand; one without any vanishes', async () => {
  const registry = new Registry();
  let gauges: readonly JobGauges[] = [{ namespace: 'acme', open: 2, queued: 7, running: 3 }];
  addJobMetrics(createMetricFamilies(registry), () => gauges);
  const values = async () => (await registry.metrics()).split('\n').filter((line) => line.startsWith('ebb_'));
  expect((await values()).toSorted()).toEqual([
    'ebb_job_tasks{namespace="acme",state="queued"} 7',
    'ebb_job_tasks{namespace="acme",state="running"} 3',
    'ebb_jobs_open{namespace="acme"} 2',
  ]);
  gauges = [];
  expect(await values()).toEqual([]);
});
