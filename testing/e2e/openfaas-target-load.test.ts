import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, test, vi } from 'vitest';
import { resolveScaleLabels } from '../../packages/server/src/api/openfaas/resolve-scale-labels.ts';
import { deployLabAs } from '../harness/lab.ts';
import { startTestServer } from '../harness/server.ts';

/** How long the load goes on with both instances. */
const LOAD_MS = 8_000;

test('with target load 5, at 10 calls a second a second instance serves within 30 s, and is gone 60 s after the load', async () => {
  await using server = await startTestServer({ engine: 'process' });
  const labels = { 'com.openfaas.scale.target': '5', 'com.openfaas.scale.max': '2' };
  const { scale, concurrency } = resolveScaleLabels({ labels, cpuCores: 1 });
  await deployLabAs(server, 'echo', { labels, scale, concurrency });
  const served = new Map<string, number>();
  const statuses = new Set<number>();
  const call = async () => {
    const response = await fetch(server.functionUrl('echo', '/who'));
    statuses.add(response.status);
    const { instance } = (await response.json()) as { readonly instance: string };
    served.set(instance, (served.get(instance) ?? 0) + 1);
  };
  const ready = async () => {
    const instances = await server.client.functions.instances({ namespace: DEFAULT_NAMESPACE, name: 'echo' });
    return instances.filter(({ state }) => state !== 'draining').length;
  };

  const calls: Promise<void>[] = [];
  const beganAt = performance.now();
  let secondAt = Number.POSITIVE_INFINITY;
  const isOver = (afterMs: number) => afterMs >= 30_000 || afterMs - secondAt >= LOAD_MS;
  // Two at a time: with one alone the first instance is free again for each.
  while (!isOver(performance.now() - beganAt)) {
    calls.push(call(), call());
    await sleep(200);
    if (served.size === 2) secondAt = Math.min(secondAt, performance.now() - beganAt);
  }
  expect(secondAt).toBeLessThan(30_000);
  await Promise.all(calls);
  const endedAt = performance.now();
  await vi.waitFor(async () => expect(await ready()).toBe(1), { timeout: 60_000, interval: 250 });
  console.log(
    `the second served after ${Math.round(secondAt)} ms, gone after ${Math.round(performance.now() - endedAt)} ms`,
  );
  expect([...statuses]).toEqual([200]);
}, 100_000);
