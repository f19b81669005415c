import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCutProxy } from '../harness/cut-proxy.ts';
import { describeWithDocker } from '../harness/docker.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';
import { ensureBaseImage } from '../services/base-image.ts';

describeWithDocker('jobs of images', (socketPath) => {
  let server: TestServer;
  let image: string;

  beforeAll(async () => {
    image = await ensureBaseImage(new Dockerode({ socketPath }));
    server = await startTestServer({ engine: 'docker', env: { EBB_POOL_SIZE: '0' } });
  }, 600_000);
  afterAll(() => server[Symbol.asyncDispose]());

  test('standard input goes to standard output through a container; its exit code is that of the command', async () => {
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * 7) % 256));
    const stdin = join(server.dataDir, 'in');
    await writeFile(stdin, bytes);
    const zipped = await server.ebb(['job', 'run', '--image', image, '--stdin', '--', 'gzip', '-1'], {
      input: await readFile(stdin),
    });
    expect(zipped.code).toBe(0);
    expect(gunzipSync(zipped.stdout).equals(bytes)).toBe(true);
    const failed = await server.ebb(['job', 'run', '--image', image, '--stdin', '--', 'sh', '-c', 'cat >&2; exit 9'], {
      input: Buffer.from('oh'),
    });
    expect([failed.code, failed.stdout.toString()]).toEqual([9, '']);
    expect(failed.stderr).toContain('oh');
  });

  test('a compose file is accepted as is, in order, with warnings and refusals', async () => {
    const file = join(server.dataDir, 'docker-compose.yml');
    await writeFile(
      file,
      `services:
  first: { image: "${image}", command: echo one, ports: ["80"] }
  second:
    image: "${image}"
    command: sh -c "test $$EBB_TASK_INDEX != 1"
    scale: 3
    retry_count: 1
    remove_containers: on-success
    mem_limit: 64m
    depends_on: [first]
`,
    );
    const run = await server.ebb(['job', 'run', '-f', file]);
    expect(run.stderr).toContain('"services.first.ports" means nothing for jobs');
    expect(run.stderr).toMatch(/first-\w+ succeeded/);
    expect(run.stderr).toMatch(/second-\w+ failed in .*: 2 of 3 tasks succeeded, 1 failed/);
    expect(run.code).toBe(1);
    // What failed was kept, and goes with the job.
    const docker = new Dockerode({ socketPath });
    const kept = () =>
      docker.listContainers({
        all: true,
        filters: { label: [`ebb.installation=${server.file.installation}`, 'ebb.task-run'] },
      });
    const names = (await kept()).map(({ Labels }) => `${Labels['ebb.task']}, attempt ${Labels['ebb.attempt']}`);
    expect(new Set(names)).toEqual(new Set(['1, attempt 1', '1, attempt 2']));
    await server.ebbOk(['job', 'remove', 'second']);
    expect(await kept()).toEqual([]);
    await writeFile(file, `services:\n  a: { image: "${image}", volumes: ["/:/host"] }\n`);
    const refused = await server.ebb(['job', 'run', '-f', file]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('"services.a.volumes" is not allowed')]);
  });

  const start = async (name: string, seconds: number): Promise<string> => {
    const script = `echo began $EBB_TASK_ATTEMPT; sleep ${seconds}; echo ended`;
    const options = ['--image', image, '--tasks', '3', '--name', name, '--network', 'none'];
    const id = (await server.ebbOk(['job', 'run', '-d', ...options, '--', 'sh', '-c', script])).trim();
    for (let tries = 0; tries < 100; tries += 1) {
      const lines = await Array.fromAsync(server.client.jobs.logs(DEFAULT_NAMESPACE, id));
      if (lines.length >= 3) return id;
      await sleep(50);
    }
    throw new Error(`the tasks of ${id} did not begin`);
  };

  test('J1: containers of a killed server are joined; a job takes neither harm nor another attempt', async () => {
    const id = await start('lasting', 3);
    await server.kill();
    await server.start();
    const done = await server.ebb(['job', 'show', id, '--wait']);
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('3 of 3 tasks succeeded')]);
    expect(await server.ebbOk(['job', 'result', id, '1'])).toBe('began 1\nended\n');
  });

  test('J1: a takeover leaves containers running; who streams one gets all of it from the server it is on', async () => {
    const id = await start('moved', 4);
    const script = 'for i in 1 2 3 4; do echo $i; sleep 1; done';
    const streaming = server.ebb(['job', 'run', '--image', image, '--stdin', '--', 'sh', '-c', script], { input: '' });
    await sleep(1_500);
    const old = await server.takeOver();
    const streamed = await streaming;
    // The old server waits for connections that are idle; this one gets its last answer.
    await server.client.health();
    expect([streamed.code, streamed.stdout.toString()]).toEqual([0, '1\n2\n3\n4\n']);
    const done = await server.ebb(['job', 'show', id, '--wait']);
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('3 of 3 tasks succeeded')]);
    expect(await server.ebbOk(['job', 'result', id, '2'])).toBe('began 1\nended\n');
    expect(await old.exited).toBe(0);
  });

  test('J3: a daemon that goes away costs attempts, not the job, and leaves no container behind', async () => {
    const directory = await mkdtemp('/tmp/ebb-cut-');
    await using proxy = await startCutProxy(socketPath, join(directory, 'docker.sock'));
    await using own = await startTestServer({
      engine: 'docker',
      env: { EBB_POOL_SIZE: '0', EBB_DOCKER_SOCKET: proxy.socketPath },
    });
    const spec = { image, command: ['sh', '-c', 'sleep 2'], tasks: 3, network: 'none' as const };
    const [job] = await own.client.jobs.submit(DEFAULT_NAMESPACE, [{ spec }]);
    const id = job?.id ?? '';
    await sleep(1_500);
    await proxy.cut(1_000);
    const done = await own.ebb(['job', 'show', id, '--wait']);
    expect(done.code).toBe(0);
    const ended = await own.client.jobs.get(DEFAULT_NAMESPACE, id);
    expect(ended).toMatchObject({ state: 'succeeded', tasks: { succeeded: 3 } });
    expect(ended.lost).toBeGreaterThan(0);
    const docker = new Dockerode({ socketPath });
    const filters = { label: [`ebb.installation=${own.file.installation}`, 'ebb.task-run'] };
    for (let tries = 0; (await docker.listContainers({ all: true, filters })).length > 0; tries += 1) {
      if (tries > 150) throw new Error('containers were left behind');
      await sleep(100);
    }
    await rm(directory, { recursive: true, force: true });
  });
});
