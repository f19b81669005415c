import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, inject, test } from 'vitest';
import { listInstances } from '../harness/docker-instances.ts';
import { describeOnEngines, type EngineName } from '../harness/engines.ts';
import { findProcesses } from '../harness/find-processes.ts';
import { deployLab } from '../harness/lab.ts';
import { startLoad } from '../harness/load.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

const RECOVERY_MS = 10_000;

/** Instances the engine really runs for a server: containers by label, or processes by the directory of their socket. */
async function countRunning(engine: EngineName, server: TestServer): Promise<number> {
  if (engine === 'process') return (await findProcesses('EBB_SOCKET=', server.file.installation)).length;
  const containers = await listInstances(inject('dockerSocket') ?? '', server.file.installation);
  return containers.filter(({ state }) => state === 'running' || state === 'paused').length;
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + RECOVERY_MS;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`after ${RECOVERY_MS} ms still not: ${what}`);
    await sleep(100);
  }
}

describeOnEngines('a server that is killed', (engine) => {
  test('E1: after kill -9 under load the next start serves all functions and leaves no orphan', async () => {
    // What is kept ready without code is no function's; warm-pool.test.ts is about that.
    await using server = await startTestServer({ engine, env: { EBB_POOL_SIZE: '0' } });
    await deployLab(server, 'steady', ['--concurrency', '4']);
    await deployLab(server, 'other');
    const load = startLoad(() => fetch(server.functionUrl('steady', '/slow?ms=50')), 12);
    await sleep(1500);
    await server.kill();
    await load.stop();

    await server.start();
    const { client } = server;
    await until('both functions serve', async () => {
      const answers = await Promise.all(['steady', 'other'].map((name) => fetch(server.functionUrl(name, '/who'))));
      return answers.every((answer) => answer.ok);
    });
    const known = async (): Promise<number> => {
      const lists = await Promise.all(
        ['steady', 'other'].map((name) => client.functions.instances({ namespace: DEFAULT_NAMESPACE, name })),
      );
      return lists.flat().length;
    };
    await until(
      'what runs is what the server knows',
      async () => (await countRunning(engine, server)) === (await known()),
    );
    expect((await client.functions.list(DEFAULT_NAMESPACE)).map(({ name }) => name)).toEqual(['other', 'steady']);

    const after = startLoad(() => fetch(server.functionUrl('steady', '/slow?ms=20')), 8);
    await sleep(500);
    expect((await after.stop()).failures).toEqual([]);
  });

  test('killed again and again in the middle of deploys it never loses a function that was deployed', async () => {
    await using server = await startTestServer({ engine });
    await deployLab(server, 'kept');
    for (const delayMs of [150, 400, 700]) {
      const deploy = server.ebb([
        'deploy',
        'testing/fixtures/lab',
        '--name',
        'kept',
        '--env',
        `LAB_VERSION=${delayMs}`,
      ]);
      await sleep(delayMs);
      await server.kill();
      await deploy;
      await server.start();
      const response = await fetch(server.functionUrl('kept', '/who'));
      expect(response.status).toBe(200);
    }
    const versions = await server.client.functions.versions({ namespace: DEFAULT_NAMESPACE, name: 'kept' });
    expect(versions.filter(({ live }) => live)).toHaveLength(1);
  });
});

describeOnEngines('a server that is told to stop', (engine) => {
  test('finishes what runs, answers new calls with 503 or not at all, ends with 0, and leaves nothing behind', async () => {
    await using server = await startTestServer({ engine });
    await deployLab(server, 'slow');
    const running = fetch(server.functionUrl('slow', '/slow?ms=2000'));
    await sleep(300);
    const stopped = server.stop();
    await sleep(300);
    const late = await fetch(server.functionUrl('slow', '/who')).catch(() => undefined);
    expect([503, undefined]).toContain(late?.status);
    if (late) expect(await late.json()).toMatchObject({ code: 'DRAINING' });
    expect((await running).status).toBe(200);
    expect(await stopped).toBe(0);
    expect(await countRunning(engine, server)).toBe(0);
  });
});
