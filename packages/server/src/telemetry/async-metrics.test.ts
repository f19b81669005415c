import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { type AsyncGauges, createAsyncMetrics } from './async-metrics.ts';
import { createMetricFamilies } from './metric-families.ts';

const one = (label: string, queued: number): AsyncGauges => ({ label, queued, running: 1, oldestSeconds: 2.5 });

test('submits are counted, and functions without calls vanish from the gauges', async () => {
  const registry = new Registry();
  let gauges = [one('f.n', 3), one('g.n', 4)];
  const metrics = createAsyncMetrics(createMetricFamilies(registry), () => Promise.resolve(gauges));
  metrics.offered('accepted');
  metrics.offered('accepted');
  metrics.offered('refused');
  metrics.settled('dead');
  await metrics.read();
  gauges = [one('g.n', 1)];
  await metrics.read();
  const page = await registry.metrics();
  expect(page).toContain('ebb_async_submits_total{outcome="accepted"} 2');
  expect(page).toContain('ebb_async_submits_total{outcome="duplicate"} 0');
  expect(page).toContain('ebb_async_settled_total{outcome="dead"} 1');
  expect(page).toContain('ebb_async_settled_total{outcome="retry"} 0');
  expect(page).toContain('ebb_async_queued{function_name="g.n"} 1');
  expect(page).toContain('ebb_async_running{function_name="g.n"} 1');
  expect(page).toContain('ebb_async_oldest_seconds{function_name="g.n"} 2.5');
  expect(page).not.toContain('f.n');
});

test('series are bounded, and those with the most calls are kept', async () => {
  const registry = new Registry();
  const many = Array.from({ length: 3_000 }, (_, i) => one(`f${i}.n`, i));
  await createAsyncMetrics(createMetricFamilies(registry), () => Promise.resolve(many)).read();
  const page = await registry.metrics();
  expect(page.match(/^ebb_async_queued\{/gm)).toHaveLength(2_000);
  expect(page).toContain('f2999.n');
});

test('a queue that cannot be read leaves the gauges as they were', async () => {
  const registry = new Registry();
  let isFailing = false;
  const read = () => (isFailing ? Promise.reject(new Error('lent')) : Promise.resolve([one('f.n', 3)]));
  const metrics = createAsyncMetrics(createMetricFamilies(registry), read);
  await metrics.read();
  isFailing = true;
  await metrics.read();
  expect(await registry.metrics()).toContain('ebb_async_queued{function_name="f.n"} 3');
});
