import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startTestServer } from '../harness/server.ts';

const CALLS = 80;

test('A2, A3: a server killed while it calls and posts loses no outcome; what comes twice has the same id and more attempts', async () => {
  await using made = new AsyncDisposableStack();
  /** Attempts that arrived, by delivery. */
  const arrived = new Map<string, number[]>();
  const receiver = createServer((request, response) => {
    const id = String(request.headers['x-ebb-delivery-id']);
    arrived.set(id, [...(arrived.get(id) ?? []), Number(request.headers['x-ebb-attempt'])]);
    request.resume().on('end', () => setTimeout(() => response.end(), 5));
  }).listen(0, '127.0.0.1');
  made.defer(() => receiver.close().closeAllConnections());
  await once(receiver, 'listening');
  const callback = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;

  const cwd = await mkdtemp(path.join(tmpdir(), 'ebb-callback-'));
  made.defer(() => rm(cwd, { recursive: true, force: true }));
  await mkdir(path.join(cwd, 'work'));
  await writeFile(path.join(cwd, 'work/index.js'), 'export default { fetch: (r) => new Response(r.body) };\n');
  const env = { EBB_POOL_SIZE: '0', EBB_CALLBACK_ALLOW: '127.0.0.1' };
  await using server = await startTestServer({ engine: 'process', env });
  await server.ebbOk(['deploy', '--name', 'work', 'work'], { cwd });

  const calls = Array.from({ length: CALLS }, (_, index) => ({ function: 'work', body: `${index}`, callback }));
  const submitted = await server.client.invocations.submitAll(calls);
  const wanted = submitted.calls.map((one) => ('id' in one ? `${one.id}.c0` : '')).toSorted();
  for (const share of [0.2, 0.6]) {
    while (arrived.size < CALLS * share) await sleep(1);
    await server.kill();
    await server.start();
  }
  while (arrived.size < CALLS) await sleep(20);
  expect([...arrived.keys()].toSorted()).toEqual(wanted);
  for (const attempts of arrived.values()) {
    // Never the same number twice, and no more of them than the server had lives.
    expect(new Set(attempts).size).toBe(attempts.length);
    expect(attempts.length).toBeLessThanOrEqual(3);
  }
  // Each has exactly one end, and nothing is left over.
  let ended = 0;
  while (ended < 2 * CALLS) {
    await sleep(50);
    ended = (await server.client.invocations.list({ state: 'succeeded', limit: 1000 })).invocations.length;
  }
  expect(ended).toBe(2 * CALLS);
  for (const state of ['queued', 'running', 'dead', 'cancelled'] as const) {
    expect((await server.client.invocations.list({ state })).invocations).toEqual([]);
  }
}, 60_000);
