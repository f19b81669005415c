import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, inject, test } from 'vitest';
import { listInstances } from '../harness/docker-instances.ts';
import { describeOnEngines } from '../harness/engines.ts';
import { deployLab } from '../harness/lab.ts';
import { startTestServer } from '../harness/server.ts';

describeOnEngines('two servers on one host', (engine) => {
  test('do not touch each other: neither by deploying, nor by stopping, nor by starting again', async () => {
    await using left = await startTestServer({ engine });
    await using right = await startTestServer({ engine });
    await deployLab(left, 'twin', ['--env', 'LAB_VERSION=left']);
    await deployLab(right, 'twin', ['--env', 'LAB_VERSION=right']);
    const who = async (server: typeof left) =>
      (await (await fetch(server.functionUrl('twin', '/who'))).json()) as { version: string; instance: string };
    const before = await who(right);
    expect((await who(left)).version).toBe('left');
    expect(before.version).toBe('right');

    await left.kill();
    await left.start();
    expect((await who(left)).version).toBe('left');
    await left.ebbOk(['remove', 'twin']);
    await left.stop();

    expect(await who(right)).toEqual(before);
    const serving = await right.client.functions.instances({ namespace: DEFAULT_NAMESPACE, name: 'twin' });
    expect(serving).toHaveLength(1);
    if (engine === 'docker') {
      const socket = inject('dockerSocket') ?? '';
      // Beside spares, which come and go by themselves.
      const there = await listInstances(socket, right.file.installation);
      expect(there.map(({ instance }) => instance)).toContain(serving[0]?.id);
      expect(await listInstances(socket, left.file.installation)).toHaveLength(0);
    }
  });
});
