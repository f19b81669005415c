import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { describeWithDebianPrograms } from '../harness/debian-programs.ts';
import { deployLabAs } from '../harness/lab.ts';
import { readMetrics, valueOf } from '../harness/metrics.ts';
import { askSystem } from '../harness/openfaas.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';
import { startAlertmanager, startPrometheus } from '../services/monitoring.ts';

/** The rule that such set-ups have, as it stands in their files. */
const RULES = `
groups:
  - name: load
    rules:
      - alert: APIHighInvocationRate
        expr: sum by (function_name) (rate(gateway_function_invocation_total{code="200"}[10s])) > 5
        for: 5s
        labels: { service: gateway, severity: major }
        annotations:
          summary: High invocation total on {{ $labels.function_name }}
`;

describeWithDebianPrograms('alerts of a real Prometheus and Alertmanager', () => {
  test('scale a function up while its rate is high, and back to its least once it is not', async () => {
    await using server = await startTestServer({
      engine: 'process',
      env: { EBB_METRICS_LISTEN: '127.0.0.1:0' },
    });
    // Ebb itself would start another instance for every ten calls at once, so that what is seen is due to the alerts.
    await deployLabAs(server, 'echo', {
      scale: { min: 1, max: 8 },
      labels: { 'com.openfaas.scale.factor': '25' },
    });
    const function_name = `echo.${DEFAULT_NAMESPACE}`;
    const count = async (name: string) => valueOf(await readMetrics(server), name, { function_name });
    const ready = () => count('gateway_service_ready_count');

    await using alertmanager = await startAlertmanager({
      config: JSON.stringify({
        route: {
          receiver: 'scale-up',
          group_by: ['alertname'],
          group_wait: '0s',
          group_interval: '1s',
          repeat_interval: '30s',
        },
        receivers: [
          {
            name: 'scale-up',
            webhook_configs: [
              {
                url: `${server.url}/system/alert`,
                send_resolved: true,
                http_config: { basic_auth: { username: 'admin', password: server.file.token } },
              },
            ],
          },
        ],
      }),
    });
    await using _prometheus = await startPrometheus({
      targets: [new URL(server.file.metricsUrl ?? '').host],
      rules: RULES,
      alertmanagers: [`127.0.0.1:${alertmanager.port}`],
      intervalMs: 500,
    });
    expect(await ready()).toBe(1);

    const calling = new AbortController();
    const answers: Promise<number>[] = [];
    const load = (async () => {
      while (!calling.signal.aborted) {
        answers.push(fetch(server.functionUrl('echo', '/who')).then(({ status }) => status));
        await sleep(100);
      }
    })();
    // A quarter of eight beside the first; the alert is not repeated within half a minute.
    await vi.waitFor(async () => expect(await ready()).toBe(3), { timeout: 30_000, interval: 200 });
    // No instance has had ten calls at once: Ebb keeps what the alert asked for.
    await sleep(1_500);
    expect(await ready()).toBe(3);
    calling.abort();
    await load;
    await vi.waitFor(async () => expect(await ready()).toBe(1), { timeout: 30_000, interval: 200 });
    expect(await count('gateway_service_count')).toBe(1);
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
  }, 90_000);
});

describe('alerts as Alertmanager posts them', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ engine: 'process' });
    await deployLabAs(server, 'echo', { scale: { min: 1, max: 4 }, labels: { 'com.openfaas.scale.factor': '50' } });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const post = async (body: unknown, init: RequestInit = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return (await askSystem(server, '/system/alert', { method: 'POST', body: text, ...init })).status;
  };
  const alerts = (status: string, ...names: readonly string[]) => ({
    receiver: 'scale-up',
    status,
    alerts: names.map((name) => ({ status, labels: { alertname: 'APIHighInvocationRate', function_name: name } })),
  });
  const ready = async () => {
    const found = await server.client.functions.instances({ namespace: DEFAULT_NAMESPACE, name: 'echo' });
    return found.filter(({ state }) => state !== 'draining').length;
  };
  const becomes = (count: number) =>
    vi.waitFor(async () => expect(await ready()).toBe(count), { timeout: 10_000, interval: 50 });

  test('what cannot be read is 400, what cannot be scaled 500, and nobody scales without credentials', async () => {
    const firing = alerts('firing', `echo.${DEFAULT_NAMESPACE}`);
    expect(await post(firing, { headers: { authorization: '' } })).toBe(401);
    expect(await post(firing, { headers: { authorization: 'Basic YWRtaW46d3Jvbmc=' } })).toBe(401);
    expect(await post('')).toBe(400);
    expect(await post('{')).toBe(400);
    expect(await post([])).toBe(400);
    expect(await post(alerts('firing', 'nobody'))).toBe(500);
    expect(await post(alerts('firing'))).toBe(200);
    expect((await askSystem(server, '/system/alert')).status).toBe(405);
    expect(await ready()).toBe(1);
  });

  test('E1: what an alert asked for outlives the server, and goes with the alert', async () => {
    expect(await post(alerts('firing', `echo.${DEFAULT_NAMESPACE}`))).toBe(200);
    await becomes(3);
    await server.kill();
    await server.start();
    await becomes(3);
    // From where it is, not from the least.
    expect(await post(alerts('firing', 'echo'))).toBe(200);
    await becomes(4);
    expect(await post(alerts('resolved', 'echo'))).toBe(200);
    await becomes(1);
  });
});
