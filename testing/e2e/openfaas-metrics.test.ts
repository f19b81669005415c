import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/gateway.ts';
import { deployLab } from '../harness/lab.ts';
import { readMetrics, valueOf } from '../harness/metrics.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

describe.each([0, 2])('metrics under the names dashboards know, with %i gateway processes', (gateways) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({
      engine: 'process',
      env: { EBB_GATEWAYS: String(gateways), EBB_METRICS_LISTEN: '127.0.0.1:0' },
    });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test('a function has series from its deploy on, they count while calls run, and vanish with it', async () => {
    await deployLab(server, 'lab');
    const function_name = `lab.${DEFAULT_NAMESPACE}`;
    const queue = { queue_name: 'faas-request', function_name };
    const usage = { function_name, namespace: DEFAULT_NAMESPACE };
    const series = {
      total: ['gateway_function_invocation_total', { function_name, code: '200' }],
      started: ['gateway_function_invocation_started', { function_name }],
      inflight: ['gateway_function_invocation_inflight', { function_name }],
      replicas: ['gateway_service_count', { function_name }],
      ready: ['gateway_service_ready_count', { function_name }],
      min: ['gateway_service_min', { function_name }],
      target: ['gateway_service_target_load', { function_name, scaling_type: 'capacity' }],
      pending: ['queue_worker_pending_messages', queue],
      submitted: ['queue_worker_messages_submitted_total', queue],
      processed: ['queue_worker_messages_processed_total', queue],
    } as const;
    const read = async () => {
      const page = await readMetrics(server);
      return Object.fromEntries(
        Object.entries(series).map(([key, [name, labels]]) => [key, valueOf(page, name, labels)]),
      );
    };
    expect(await read()).toEqual({
      total: 0,
      started: 0,
      inflight: 0,
      replicas: 1,
      ready: 1,
      min: 0,
      target: 10,
      pending: 0,
      submitted: 0,
      processed: 0,
    });

    const slow = [1, 2, 3].map(() => fetch(server.functionUrl('lab', '/slow?ms=1500')));
    await eventually(async () => (await read())['inflight'] === 3);
    expect(await read()).toMatchObject({ total: 0, started: 3 });
    for (const answer of await Promise.all(slow)) expect(answer.status).toBe(200);
    await fetch(`${server.url}/async-function/lab/who`, { method: 'POST' });
    await eventually(async () => (await read())['processed'] === 1);
    await eventually(async () => (await read())['inflight'] === 0);
    expect(await read()).toMatchObject({ total: 4, started: 4, submitted: 1, pending: 0 });

    const page = await readMetrics(server);
    expect(valueOf(page, 'gateway_functions_seconds_count', { function_name, code: '200' })).toBe(4);
    expect(valueOf(page, 'pod_memory_working_set_bytes', usage)).toBeGreaterThan(2 ** 20);
    expect(valueOf(page, 'pod_cpu_usage_seconds_total', usage)).toBeGreaterThan(0);
    const route = '/v1/namespaces/{namespace}/functions/{name}';
    expect(valueOf(page, 'http_requests_total', { method: 'PUT', path: route, status: '200' })).toBe(1);

    await server.client.functions.remove({ namespace: DEFAULT_NAMESPACE, name: 'lab' });
    expect(await readMetrics(server)).not.toContain(function_name);
  });
});
