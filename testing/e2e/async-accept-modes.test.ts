import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { deployLab } from '../harness/lab.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';
import { startSubmits, submit } from '../harness/submit.ts';

const LATER = { 'x-ebb-delay': '1h' };

async function missing(server: TestServer, ids: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await server.client.invocations.list({ limit: 1000, cursor });
    for (const { id } of page.invocations) found.add(id);
    cursor = page.next;
  } while (cursor !== undefined);
  return ids.filter((id) => !found.has(id));
}

describe.each([0, 2])('with %i gateways', (gateways) => {
  const env = { EBB_POOL_SIZE: '0', EBB_GATEWAYS: String(gateways) };

  test('A1: calls are accepted while a successor takes over: none is refused, and none is lost', async () => {
    await using server = await startTestServer({ engine: 'process', env });
    await deployLab(server, 'lab');
    const big = randomBytes(150_000);
    const loads = [
      startSubmits(server, 'lab', 6, { headers: LATER }),
      startSubmits(server, 'lab', 2, { headers: LATER, body: big }),
    ];
    const waited = await submit(server, 'lab', { headers: LATER });
    const waiting = server.client.invocations.wait(waited.id, { limitMs: 60_000 });
    waiting.catch(() => {});
    await sleep(300);
    const began = performance.now();
    await server.takeOver();
    // Those who wait for a call do not hold the takeover up.
    expect(performance.now() - began).toBeLessThan(25_000);
    await sleep(300);
    const all = await Promise.all(loads.map((load) => load.stop()));
    expect(all.flatMap(({ failures }) => failures)).toEqual([]);
    expect(all.every(({ ids }) => ids.length > 10)).toBe(true);
    expect(
      await missing(
        server,
        all.flatMap(({ ids }) => ids),
      ),
    ).toEqual([]);
    await server.client.invocations.cancel(waited.id);
    expect((await waiting).state).toBe('cancelled');
  });

  test('a server that shuts down refuses calls or keeps them, and says which', async () => {
    await using server = await startTestServer({ engine: 'process', env });
    await deployLab(server, 'lab');
    const held = fetch(server.functionUrl('lab', '/slow?ms=1500'));
    const load = startSubmits(server, 'lab', 4, { headers: LATER });
    await sleep(300);
    const stopped = server.stop();
    await sleep(300);
    const refused = await submit(server, 'lab', { headers: LATER });
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect((await held).status).toBe(200);
    await stopped;
    const { ids, failures } = await load.stop();
    expect(failures.filter((one) => !/^(?:503 .*DRAINING.*|ECONN\w+)$/.test(one))).toEqual([]);
    await server.start();
    expect(ids.length).toBeGreaterThan(5);
    expect(await missing(server, ids)).toEqual([]);
  });
});

test('gateway processes accept as one process does', async () => {
  await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0', EBB_GATEWAYS: '2' } });
  await deployLab(server, 'lab');
  const body = randomBytes(1_000_000);
  const { id, status } = await submit(server, 'lab/echo', { headers: LATER, body });
  expect(status).toBe(202);
  const kept = await server.client.invocations.payload(id);
  expect(body.equals(Buffer.from(await kept.body.arrayBuffer()))).toBe(true);
  expect((await submit(server, 'gone')).status).toBe(404);
  expect(await submit(server, 'lab', { method: 'PUT' })).toMatchObject({ status: 405, headers: { allow: 'POST' } });
});
