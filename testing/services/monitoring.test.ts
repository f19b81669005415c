import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, expect, test, vi } from 'vitest';
import { describeWithDebianPrograms } from '../harness/debian-programs.ts';
import { startAlertmanager, startPrometheus } from './monitoring.ts';

const RULES = `
groups:
  - name: test
    rules:
      - alert: Busy
        expr: sum by (function_name) (test_calls) > 5
        labels: { severity: major }
`;

describeWithDebianPrograms('monitoring of a test', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  });

  /** Serves on a free port; what comes is handed over whole. */
  const serve = async (answer: (body: string, type: string | undefined) => string): Promise<string> => {
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const body = Buffer.concat(parts).toString();
        response.setHeader('connection', 'close').end(answer(body, request.headers['content-type']));
      });
    }).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    const address = server.address();
    return `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  };

  test('an alert of a rule file reaches the webhook as firing, and as resolved when its cause is gone', async () => {
    let calls = 9;
    const metrics = await serve(() => `test_calls{function_name="echo.openfaas-fn"} ${calls}\n`);
    const told: unknown[] = [];
    const webhook = await serve((body, type) => {
      told.push({ type, ...JSON.parse(body) });
      return '';
    });
    await using alertmanager = await startAlertmanager({
      config: JSON.stringify({
        route: { receiver: 'hook', group_by: ['alertname'], group_wait: '0s', group_interval: '1s' },
        receivers: [{ name: 'hook', webhook_configs: [{ url: `http://${webhook}/`, send_resolved: true }] }],
      }),
    });
    const alertmanagers = [`127.0.0.1:${alertmanager.port}`];
    await using prometheus = await startPrometheus({ targets: [metrics], rules: RULES, alertmanagers });
    const alert = { labels: { alertname: 'Busy', function_name: 'echo.openfaas-fn', severity: 'major' } };
    const wanted = (status: string) =>
      expect.objectContaining({
        type: 'application/json',
        status,
        alerts: [expect.objectContaining({ ...alert, status })],
      });

    await vi.waitFor(() => expect(told.at(-1)).toEqual(wanted('firing')), { timeout: 20_000, interval: 50 });
    calls = 0;
    await vi.waitFor(() => expect(told.at(-1)).toEqual(wanted('resolved')), { timeout: 20_000, interval: 50 });
    expect(prometheus.port).not.toBe(alertmanager.port);
  });

  test('a program that refuses its configuration fails the start with its own words', async () => {
    await expect(startAlertmanager({ config: '{"route": 1}' })).rejects.toThrow(
      /does not answer.*Loading configuration/s,
    );
  });
});
