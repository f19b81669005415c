import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createMetricFamilies } from './metric-families.ts';
import { createQueueMetrics } from './queue-metrics.ts';

test('calls of a function are counted under its queue from its deploy on, and vanish with it', async () => {
  const registry = new Registry();
  const metrics = createQueueMetrics(createMetricFamilies(registry));
  const functions = new Map([['f.ns', { queue: 'faas-request' }]]);
  const page = async () => (await registry.metrics()).split('\n').filter((line) => line.includes('f.ns'));
  const values = (queue: string, [pending, inflight, submitted, processed]: readonly number[]) => {
    const labels = `{queue_name="${queue}",function_name="f.ns"}`;
    return [
      `queue_worker_pending_messages${labels} ${pending}`,
      `queue_worker_function_invocation_inflight${labels} ${inflight}`,
      `queue_worker_messages_submitted_total${labels} ${submitted}`,
      `queue_worker_messages_processed_total${labels} ${processed}`,
    ];
  };
  metrics.show(functions, []);
  expect(await page()).toEqual(values('faas-request', [0, 0, 0, 0]));
  for (let i = 0; i < 3; i += 1) metrics.submitted('f.ns');
  metrics.processed('f.ns');
  metrics.show(functions, [{ label: 'f.ns', queued: 1, running: 1, oldestSeconds: 3 }]);
  expect(await page()).toEqual(values('faas-request', [1, 1, 3, 1]));
  // The queue does not answer.
  metrics.show(functions, undefined);
  expect(await page()).toEqual(values('faas-request', [1, 1, 3, 1]));
  functions.set('f.ns', { queue: 'slow' });
  metrics.show(functions, []);
  expect(await page()).toEqual(values('slow', [0, 0, 0, 0]));
  functions.clear();
  metrics.submitted('f.ns');
  metrics.show(functions, []);
  expect(await page()).toEqual([]);
});
