import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { openLoop } from './open-loop.ts';

test('counts latency from the moment a request was due, so that a stall is seen by all it held up', async () => {
  let isStalled = false;
  const waiting: (() => void)[] = [];
  const server = createServer((_request, response) => {
    if (isStalled) waiting.push(() => response.end('ok'));
    else response.end('ok');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  server.once('request', () => {
    setTimeout(() => (isStalled = true), 1_000);
    setTimeout(() => {
      isStalled = false;
      for (const answer of waiting) answer();
    }, 1_500);
  });
  const step = await openLoop({ url: `http://127.0.0.1:${port}/`, rate: 100, seconds: 2, connections: 2 });
  server.close();
  expect(step).toMatchObject({ offered: 100, shed: 0, errors: 0 });
  // Every request was answered in the end, though only two could be under way in the stall.
  expect(step.goodput).toBe(100);
  expect(step.p99Ms).toBeGreaterThan(350);
});

test('tells answers that refuse from those that fail', async () => {
  let count = 0;
  const server = createServer((_request, response) => {
    response.statusCode = [200, 429, 503, 500][(count += 1) % 4] ?? 200;
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const step = await openLoop({ url: `http://127.0.0.1:${port}/`, rate: 80, seconds: 1, connections: 4 });
  server.close();
  expect(step).toMatchObject({ goodput: 20, shed: 40, errors: 20 });
});
