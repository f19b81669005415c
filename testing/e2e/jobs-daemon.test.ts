import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../harness/server.ts';
import { ensureBaseImage } from '../services/base-image.ts';
import { type PrivateDocker, startPrivateDocker } from '../services/docker.ts';

const found = await startPrivateDocker();
const docker = 'unavailable' in found ? undefined : found;
const why = 'unavailable' in found ? ` (needs a Docker daemon of its own: ${found.unavailable})` : '';

describe.skipIf(docker === undefined)(`jobs of images whose daemon is restarted${why}`, () => {
  const daemon = docker as PrivateDocker;
  let server: TestServer;
  let image: string;

  beforeAll(async () => {
    image = await ensureBaseImage(new Dockerode({ socketPath: daemon.socketPath }));
    server = await startTestServer({
      engine: 'docker',
      env: { EBB_POOL_SIZE: '0', EBB_DOCKER_SOCKET: daemon.socketPath },
    });
  }, 120_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await daemon[Symbol.asyncDispose]();
  }, 60_000);

  /** A job whose three tasks run, each of which ends in another way when it is told to. */
  const begin = async (name: string): Promise<string> => {
    const ends = ['trap "echo asked; exit 0" TERM', 'trap "exit 3" TERM', ':'];
    const script = `${ends.map((end, index) => `[ $EBB_TASK_INDEX = ${index} ] && ${end}`).join('; ')}
echo began; if [ $EBB_TASK_ATTEMPT = 1 ]; then sleep 60 & wait; fi; echo ended`;
    const spec = { image, command: ['sh', '-c', script], tasks: 3, network: 'none' as const, grace: '1s' };
    const [job] = await server.client.jobs.submit(DEFAULT_NAMESPACE, [{ name, spec }]);
    const id = job?.id ?? '';
    for (let tries = 0; tries < 200; tries += 1) {
      if ((await Array.fromAsync(server.client.jobs.logs(DEFAULT_NAMESPACE, id))).length >= 3) return id;
      await sleep(50);
    }
    throw new Error(`the tasks of ${id} did not begin`);
  };
  const expectWhole = async (id: string) => {
    const done = await server.ebb(['job', 'show', id, '--wait']);
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('3 of 3 tasks succeeded')]);
    const job = await server.client.jobs.get(DEFAULT_NAMESPACE, id);
    expect(job.lost).toBeGreaterThanOrEqual(3);
    for (const task of await server.client.jobs.tasks(DEFAULT_NAMESPACE, id)) {
      expect(task).toMatchObject({ state: 'succeeded', failures: 0 });
      expect(await server.ebbOk(['job', 'result', id, String(task.index)])).toBe('began\nended\n');
    }
  };

  test('J3: a daemon that is restarted costs attempts, however a task takes it to be told to end', async () => {
    const id = await begin('restarted');
    await daemon.restart('SIGTERM');
    await expectWhole(id);
  }, 30_000);

  test('J3: a daemon that is killed costs attempts, not the job', async () => {
    const id = await begin('killed');
    await daemon.restart('SIGKILL');
    await expectWhole(id);
  }, 30_000);

  test('J1 J3: so do a server and a daemon that go down together', async () => {
    const id = await begin('both');
    await server.kill();
    await daemon.restart('SIGKILL');
    await server.start();
    await expectWhole(id);
  }, 30_000);
});
