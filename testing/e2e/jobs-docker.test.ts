import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
    expect((await kept()).map(({ Labels }) => [Labels['ebb.task'], Labels['ebb.attempt']]).toSorted()).toEqual([
      ['1', '1'],
      ['1', '2'],
    ]);
    await server.ebbOk(['job', 'remove', 'second']);
    expect(await kept()).toEqual([]);
    await writeFile(file, `services:\n  a: { image: "${image}", volumes: ["/:/host"] }\n`);
    const refused = await server.ebb(['job', 'run', '-f', file]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('"services.a.volumes" is not allowed')]);
  });

  test('J1: containers of a killed server are joined; a job takes neither harm nor another attempt', async () => {
    const id = (
      await server.ebbOk([
        ...['job', 'run', '-d', '--image', image, '--tasks', '3', '--name', 'lasting', '--network', 'none', '--'],
        ...['sh', '-c', 'echo began $EBB_TASK_ATTEMPT; sleep 3; echo ended'],
      ])
    ).trim();
    for (let tries = 0; tries < 60; tries += 1) {
      const lines = await server.ebbOk(['job', 'logs', id]);
      if (lines.split('began').length > 3) break;
      await sleep(100);
    }
    await server.kill();
    await server.start();
    const done = await server.ebb(['job', 'show', id, '--wait']);
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('3 of 3 tasks succeeded')]);
    expect(await server.ebbOk(['job', 'result', id, '1'])).toBe('began 1\nended\n');
  });
});
