import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE, type JobResource } from '@ebb/contract';
import { expect, test } from 'vitest';
import { canMount, startTestServer, type TestServer } from '../harness/server.ts';

const HANDLER = `
export default {
  async fetch(request) {
    const input = await request.text();
    const index = request.headers.get('x-ebb-task-index');
    if (input.startsWith('slow')) await new Promise((resolve) => setTimeout(resolve, 600));
    if (input === 'bad') return new Response('it is bad', { status: 500 });
    return new Response(input.toUpperCase() + ' ' + index + '/' + request.headers.get('x-ebb-task-count'));
  },
};
`;

async function start(): Promise<TestServer> {
  const server = await startTestServer({ engine: 'process' });
  await mkdir(join(server.dataDir, 'shout'));
  await writeFile(join(server.dataDir, 'shout/index.js'), HANDLER);
  await writeFile(join(server.dataDir, 'lines.txt'), 'a\nb\nbad\nd\n');
  return server;
}

async function ended(server: TestServer, id: string): Promise<JobResource> {
  for (let tries = 0; tries < 600; tries += 1) {
    const job = await server.client.jobs.get(DEFAULT_NAMESPACE, id);
    if (job.endedAt !== undefined) return job;
    await sleep(50);
  }
  throw new Error(`${id} did not end`);
}

test('a directory is run over the lines of a file; what failed is run again alone; results, logs and removal', async () => {
  await using server = await start();
  const at = { cwd: server.dataDir };
  const run = await server.ebb(['job', 'run', './shout', '--inputs-file', 'lines.txt', '--retries', '1'], at);
  expect(run.code).toBe(1);
  expect(run.stderr).toMatch(
    /shout-\w+ failed in .*: 3 of 4 tasks succeeded, 1 failed\n {2}task 2: the function answered 500/,
  );
  const [job] = JSON.parse(await server.ebbOk(['job', 'list', '--json'])) as JobResource[];
  expect(job).toMatchObject({ state: 'failed', count: 4, tasks: { succeeded: 3, failed: 1 } });
  expect(await server.ebbOk(['job', 'result', 'shout', '3'])).toBe('D 3/4');
  expect(await server.ebbOk(['job', 'tasks', 'shout', '--state', 'failed'])).toMatch(/2 {2}failed +2 .*answered 500/);
  expect(await server.ebbOk(['job', 'logs', 'shout'])).toContain(
    'task 2, attempt 1: the function answered 500; it is tried again',
  );

  // What was wrong is mended by a deploy.
  await writeFile(join(server.dataDir, 'shout/index.js'), HANDLER.replace("'bad'", "'nothing'"));
  await server.ebbOk(['deploy', './shout', '--name', 'shout'], at);
  const again = await server.ebb(['job', 'rerun', job?.id ?? '', '--failed'], at);
  expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('4 of 4 tasks succeeded')]);
  expect(await server.ebbOk(['job', 'result', 'shout', '--out', join(server.dataDir, 'out')])).toContain('4 results');
  // Nothing went wrong, so what there is to read is with the function.
  const logs = await server.ebb(['job', 'logs', 'shout', '--task', '1']);
  expect([logs.stdout.toString(), logs.stderr]).toEqual([
    '',
    expect.stringMatching(/"ebb logs shout --call shout-\w+\.1"/),
  ]);
  expect(await server.ebbOk(['job', 'show', 'shout'])).toContain(`Re-run of: ${job?.id ?? ''}`);
  await server.ebbOk(['job', 'remove', job?.id ?? '']);
  expect((await server.ebb(['job', 'show', job?.id ?? ''])).code).toBe(3);
  // An image needs another engine.
  const refused = await server.ebb(['job', 'run', '--image', 'debian', '--', 'true']);
  expect(refused.stderr).toContain('the process engine runs no images');
});

test('J1 J3: a job goes on after kill -9: each task ends once, lost attempts are numbered and do not count', async () => {
  await using server = await start();
  await server.ebbOk(['deploy', './shout', '--name', 'shout', '--concurrency', '4'], { cwd: server.dataDir });
  const inputs = Array.from({ length: 24 }, (_, index) => `slow${index}`);
  const [job] = await server.client.jobs.submit(DEFAULT_NAMESPACE, [
    { spec: { function: 'shout', inputs, parallelism: 6 } },
  ]);
  const id = job?.id ?? '';
  await sleep(1_000);
  await server.kill();
  await server.start();
  const done = await ended(server, id);
  expect(done).toMatchObject({ state: 'succeeded', tasks: { succeeded: 24 } });
  expect(done.lost).toBeGreaterThan(0);
  const tasks = await server.client.jobs.tasks(DEFAULT_NAMESPACE, id);
  for (const { attempt, failures, lost } of tasks) expect([failures, attempt]).toEqual([0, lost + 1]);
  expect(tasks.reduce((total, { lost }) => total + lost, 0)).toBe(done.lost);
});

test('J1: a job goes on with the server that takes over; cancelling there ends it', async () => {
  await using server = await start();
  await server.ebbOk(['deploy', './shout', '--name', 'shout', '--concurrency', '4'], { cwd: server.dataDir });
  const spec = { function: 'shout', inputs: Array.from({ length: 20 }, () => 'slow'), parallelism: 5 };
  const [job] = await server.client.jobs.submit(DEFAULT_NAMESPACE, [{ spec }]);
  await sleep(300);
  const old = await server.takeOver();
  const done = await ended(server, job?.id ?? '');
  expect(done).toMatchObject({ state: 'succeeded', tasks: { succeeded: 20 } });
  expect(await old.exited).toBe(0);
  const [long] = await server.client.jobs.submit(DEFAULT_NAMESPACE, [{ spec: { ...spec, parallelism: 1 } }]);
  await sleep(200);
  await server.ebbOk(['job', 'cancel', long?.id ?? '']);
  const { tasks, state } = await ended(server, long?.id ?? '');
  expect([state, tasks.succeeded + tasks.cancelled]).toEqual(['cancelled', 20]);
});

test.skipIf(!canMount())(
  '7: a disk that is full while a job runs costs attempts that do not count, and the job ends once there is space (J1, J3)',
  async () => {
    await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0' }, dataSize: '24m' });
    const { client, dataDir } = server;
    await mkdir(join(dataDir, 'big'));
    // Larger than what is kept in the store.
    const code = `export default { async fetch() { await new Promise((r) => setTimeout(r, 300)); return new Response('x'.repeat(300_000)); } };`;
    await writeFile(join(dataDir, 'big/index.js'), code);
    await server.ebbOk(['deploy', './big', '--name', 'big'], { cwd: dataDir });
    const spec = { function: 'big', tasks: 4, parallelism: 2 };
    const [job] = await client.jobs.submit(DEFAULT_NAMESPACE, [{ spec }]);
    const id = job?.id ?? '';
    const filler = join(dataDir, 'data/filler');
    await writeFile(filler, Buffer.alloc(32 * 2 ** 20)).catch(() => {});
    await sleep(1_500);
    expect((await client.jobs.get(DEFAULT_NAMESPACE, id)).endedAt).toBeUndefined();
    await expect(client.jobs.submit(DEFAULT_NAMESPACE, [{ spec }])).rejects.toMatchObject({
      code: expect.stringMatching(/^STOR/) as string,
    });
    await rm(filler);
    expect(await ended(server, id)).toMatchObject({ state: 'succeeded', tasks: { succeeded: 4, failed: 0 } });
    for (const { index, result } of await client.jobs.tasks(DEFAULT_NAMESPACE, id)) {
      expect(result?.sizeBytes, `task ${index}`).toBe(300_000);
    }
    expect(await client.jobs.list(DEFAULT_NAMESPACE)).toHaveLength(1);
  },
  60_000,
);
