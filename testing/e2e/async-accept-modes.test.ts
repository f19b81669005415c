import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/gateway.ts';
import { deployLab } from '../harness/lab.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';
import { startSubmits, submit } from '../harness/submit.ts';
import { openWire } from '../harness/talk.ts';

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

/** A submit whose body is sent a part at a time. */
function openUpload(server: TestServer, length: number) {
  const head = `POST /async-function/lab HTTP/1.1\r\nHost: a\r\nX-Ebb-Delay: 1h\r\nContent-Length: ${length}\r\n\r\n`;
  const { socket, text } = openWire(Number(new URL(server.url).port), head);
  return {
    text,
    send: (bytes: number) => void socket.write('x'.repeat(bytes)),
    accepted: async () => {
      await eventually(() => text().includes('\r\n\r\n'), 10_000);
      socket.destroy();
      return /^HTTP\/1\.1 202 [^]*x-call-id: (\S+)/i.exec(text())?.[1] ?? `not accepted: ${text()}`;
    },
  };
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
    const upload = openUpload(server, 400_000);
    upload.send(200_000);
    await sleep(300);
    const began = performance.now();
    await server.takeOver();
    // Neither those who wait for a call nor those who are slow to submit one hold the takeover up.
    expect(performance.now() - began).toBeLessThan(25_000);
    upload.send(200_000);
    const uploaded = await upload.accepted();
    const whole = await server.client.invocations.payload(uploaded);
    expect(await whole.body.text()).toBe('x'.repeat(400_000));
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
    const back = await fetch(`${server.url}/async-function/${waited.id}`, { method: 'DELETE' });
    expect(back.status).toBe(202);
    expect((await waiting).state).toBe('cancelled');
  });

  test('calls are accepted whole; a server that shuts down refuses them or keeps them, and says which', async () => {
    await using server = await startTestServer({ engine: 'process', env });
    await deployLab(server, 'lab');
    const body = randomBytes(1_000_000);
    const large = await submit(server, 'lab/echo', { headers: LATER, body });
    const kept = await server.client.invocations.payload(large.id);
    expect(body.equals(Buffer.from(await kept.body.arrayBuffer()))).toBe(true);
    expect((await submit(server, 'gone')).status).toBe(404);
    expect(await submit(server, 'lab', { method: 'PUT' })).toMatchObject({ status: 405, headers: { allow: 'POST' } });

    const upload = openUpload(server, 400_000);
    upload.send(1_000);
    const held = fetch(server.functionUrl('lab', '/slow?ms=1500'));
    const load = startSubmits(server, 'lab', 4, { headers: LATER });
    await sleep(300);
    const stopped = server.stop();
    await sleep(300);
    const refused = await submit(server, 'lab', { headers: LATER });
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect((await held).status).toBe(200);
    const began = performance.now();
    await stopped;
    // Who has half submitted something is not waited for, and has submitted nothing.
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(upload.text()).not.toContain('202');
    const { ids, failures } = await load.stop();
    expect(failures.filter((one) => !/^(?:503 .*DRAINING.*|ECONN\w+)$/.test(one))).toEqual([]);
    await server.start();
    expect(ids.length).toBeGreaterThan(5);
    expect(await missing(server, ids)).toEqual([]);
  });
});
