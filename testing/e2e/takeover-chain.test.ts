import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { getOnce } from '../harness/held-calls.ts';
import { deployLab } from '../harness/lab.ts';
import { startTestServer } from '../harness/server.ts';

test('a server that takes over from one that still waits for its own predecessor leaves the calls of both alone', async () => {
  await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0' } });
  await deployLab(server, 'slow', ['--env', 'LAB_VERSION=1']);
  await deployLab(server, 'slow', ['--env', 'LAB_VERSION=2']);
  const live = getOnce(server.functionUrl('slow', '/version?ms=6000'));
  const byNumber = getOnce(`${server.functionUrl('slow').replace(/\.openfaas-fn$/, '')}@1/version?ms=6000`);
  await sleep(500);
  await server.takeOver();
  const second = getOnce(server.functionUrl('slow', '/version?ms=4000'));
  await sleep(300);
  await server.takeOver();
  expect(await live).toEqual({ status: 200, body: '2' });
  expect(await byNumber).toEqual({ status: 200, body: '1' });
  expect(await second).toEqual({ status: 200, body: '2' });
  expect(await getOnce(server.functionUrl('slow', '/version'))).toEqual({ status: 200, body: '2' });
});
