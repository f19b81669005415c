import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createMetricFamilies } from './metric-families.ts';
import { createUsageMetrics, type UsageGauges } from './usage-metrics.ts';

const F = { label: 'f.ns', name: 'f', namespace: 'ns' };
const CPU = 'pod_cpu_usage_seconds_total{function_name="f.ns",namespace="ns"}';
const MEMORY = 'pod_memory_working_set_bytes{function_name="f.ns",namespace="ns"}';

test('what functions use is shown from their deploy on, grows with them, and goes with them', async () => {
  const registry = new Registry();
  let usage: UsageGauges[] | undefined = [];
  const read = () => (usage ? Promise.resolve(usage) : Promise.reject(new Error('no engine')));
  const metrics = createUsageMetrics(createMetricFamilies(registry), read);
  const page = async (functions: readonly (typeof F)[]) => {
    await metrics.read(new Map(functions.map((one) => [one.label, one])));
    return (await registry.metrics()).split('\n');
  };
  expect(await page([F])).toEqual(expect.arrayContaining([`${CPU} 0`, `${MEMORY} 0`]));
  usage = [{ ...F, cpuMs: 1500, memoryBytes: 4096 }];
  expect(await page([F])).toEqual(expect.arrayContaining([`${CPU} 1.5`, `${MEMORY} 4096`]));
  // An engine that does not answer: what it said last.
  usage = undefined;
  expect(await page([F])).toEqual(expect.arrayContaining([`${CPU} 1.5`, `${MEMORY} 4096`]));
  usage = [];
  expect(await page([F])).toEqual(expect.arrayContaining([`${CPU} 1.5`, `${MEMORY} 0`]));
  expect((await page([])).join('\n')).not.toContain('f.ns');
});
