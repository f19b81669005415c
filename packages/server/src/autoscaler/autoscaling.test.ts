import type { RequestListener } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually } from '../../../../testing/harness/gateway.ts';

const ok: RequestListener = (_request, response) => response.end('ok');

describe('the autoscaler drives real instances', () => {
  test('by calls a second, where each call is over long before an instance is full', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('busy', { concurrency: 100, scale: { mode: 'rps', target: 20, window: '2s', idle: '1h' } });
    const standing = () => [...harness.pools.all()][0];
    const until = performance.now() + 1_000;
    while (performance.now() < until) {
      await Promise.all([fetch(`${harness.url}/function/busy`), fetch(`${harness.url}/function/busy`)]);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await eventually(() => (standing()?.ready ?? 0) >= 2);
    expect(standing()?.scaling?.reason).toMatch(/calls a second in the (?:burst|stable) window$/);
  });

  test('by CPU, as the engine measures it', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    // The memory engine counts a request as a millisecond of CPU.
    await harness.deploy('warm', { cpu: '10m', scale: { mode: 'cpu', target: 50, window: '2s', max: 3, idle: '1h' } });
    const pool = () => [...harness.pools.all()][0];
    await eventually(async () => {
      await fetch(`${harness.url}/function/warm`);
      return pool()?.ready === 3;
    });
    expect(pool()?.scaling?.reason).toMatch(/cores in use/);
  });

  test('by schedule, without a call ever', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('early', { scale: { schedule: [{ cron: '* * * * *', for: '1h', min: 2 }] } });
    await eventually(async () => (await harness.engine.list()).length === 2);
  });

  test('under a memory budget an idle instance makes room for a call to another function', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, memoryBudgetBytes: 2 ** 28 });
    await harness.deploy('one', { memory: '192Mi' });
    await harness.deploy('two', { memory: '192Mi' });
    for (const name of ['one', 'two', 'one']) {
      expect((await fetch(`${harness.url}/function/${name}`)).status).toBe(200);
      expect(await harness.engine.list()).toHaveLength(1);
    }
  });

  test('to zero after the keep-alive, whatever the policy is called', async () => {
    for (const keepAlive of ['fixed', 'histogram', 'greedy-dual', 'auto'] as const) {
      await using harness = await createGatewayHarness({ serve: () => ok, keepAlive });
      await harness.deploy('brief', { scale: { idle: '100ms' } });
      expect((await fetch(`${harness.url}/function/brief`)).status).toBe(200);
      await eventually(async () => (await harness.engine.list()).length === 0);
    }
  });
});
