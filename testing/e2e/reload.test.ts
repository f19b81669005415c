import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, test } from 'vitest';
import { getOnce } from '../harness/held-calls.ts';
import { deployLab } from '../harness/lab.ts';
import { startLoad } from '../harness/load.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

async function reload(server: TestServer, settings: string, says: string): Promise<void> {
  await writeFile(path.join(server.dataDir, 'data/ebb-server.yaml'), settings);
  process.kill(server.file.pid, 'SIGHUP');
  await expect.poll(() => server.output(), { timeout: 5_000 }).toContain(says);
}

test('SIGHUP changes what can change, names what cannot, refuses a bad file whole, and fails no call', async () => {
  await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0', EBB_LOG_LEVEL: '' } });
  await deployLab(server, 'alone', ['--concurrency', '1']);
  const { pid } = server.file;
  const load = startLoad(async () => {
    const { status, body } = await getOnce(server.functionUrl('alone', '/alone?ms=20'));
    return new Response(body, { status });
  }, 2);
  await reload(server, 'maxInstances: 1\nlogLevel: debug\ngateways: 2\n', 'the settings were read again; changed: ');
  expect(server.output()).toContain('changed: logLevel, maxInstances');
  expect(server.output()).toContain('only \\"ebb up --takeover\\" or a restart makes it hold: gateways');
  await reload(server, 'maxInstances: none\n', 'nothing was changed: maxInstances is \\"none\\"');
  expect((await load.stop()).failures).toEqual([]);
  expect(server.file.pid).toBe(pid);

  // Above the new bound until it is idle; below it from then on.
  const ref = { namespace: DEFAULT_NAMESPACE, name: 'other' };
  await server.client.functions.remove({ namespace: DEFAULT_NAMESPACE, name: 'alone' });
  await deployLab(server, 'other', ['--concurrency', '1']);
  const calls = [1, 2, 3].map(() => getOnce(server.functionUrl('other', '/alone?ms=300')));
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(await server.client.functions.instances(ref)).toHaveLength(1);
});
