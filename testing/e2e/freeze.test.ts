import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { eventually } from '../harness/gateway.ts';
import { deployLab } from '../harness/lab.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

const LAB = { namespace: DEFAULT_NAMESPACE, name: 'lab' };

async function deploy(server: TestServer, scale: Readonly<Record<string, string | number>>): Promise<void> {
  await deployLab(server, 'lab');
  const { spec, code } = await server.client.functions.get(LAB);
  await server.client.functions.deploy(LAB, { spec: { ...spec, scale: { ...spec.scale, ...scale } }, code });
}

async function states(server: TestServer): Promise<string> {
  const instances = await server.client.functions.instances(LAB);
  return instances
    .map(({ state }) => state)
    .sort()
    .join();
}

const who = async (server: TestServer): Promise<{ readonly instance: string }> => {
  const response = await fetch(server.functionUrl('lab', '/who'));
  expect(response.status).toBe(200);
  return (await response.json()) as { instance: string };
};

describeOnEngines('freezing', (engine) => {
  test('an idle instance freezes, wakes for a call, and survives a server that is killed (E1)', async () => {
    await using server = await startTestServer({ engine });
    await deploy(server, { freezeAfter: '100ms' });
    const { instance } = await who(server);
    await eventually(async () => (await states(server)) === 'frozen');
    expect(await who(server)).toMatchObject({ instance });
    await eventually(async () => (await states(server)) === 'frozen');
    await server.kill();
    await server.start();
    expect(await who(server)).toMatchObject({ instance });
    await eventually(async () => (await states(server)) === 'frozen');
    expect(await server.stop()).toBe(0);
  });

  test('a standby is started without a call and frozen', async () => {
    await using server = await startTestServer({ engine });
    await deploy(server, { freezeAfter: '100ms', standby: 2 });
    await eventually(async () => (await states(server)) === 'frozen,frozen', 15_000);
    await who(server);
    expect(await server.stop()).toBe(0);
  });
});
