import { createServer } from 'node:net';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { hasListener, innerPort } from './inner-server.ts';

test.each([
  [['mode=http', 'upstream_url=http://127.0.0.1:3000'], 3000],
  [['mode=http', 'http_upstream_url=http://localhost:5000/'], 5000],
  [['mode=streaming', 'upstream_url=http://127.0.0.1:3000'], undefined],
  [['mode=http', 'upstream_url=http://example.test:3000'], undefined],
  [['mode=http'], undefined],
])('the environment %j leads to port %s inside', (env, port) => {
  expect(innerPort(env)).toBe(port);
});

test('the kernel’s table says whether something listens on a port', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  expect(hasListener(await readFile('/proc/self/net/tcp', 'utf8'), port)).toBe(true);
  await new Promise((resolve) => server.close(resolve));
  expect(hasListener(await readFile('/proc/self/net/tcp', 'utf8'), port)).toBe(false);
});
