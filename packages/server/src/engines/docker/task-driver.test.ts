import { setTimeout as sleep } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDockerHarness, type DockerHarness } from '../../../../../testing/harness/docker-engine.ts';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';
import { ensureBaseImage } from '../../../../../testing/services/base-image.ts';
import type { InstanceExit, TaskRuns, TaskSpec } from '../engine.ts';

describeWithDocker('tasks on Docker', (socketPath) => {
  let harness: DockerHarness;
  let tasks: TaskRuns;
  let image: string;
  let digest: string;
  let made = 0;

  beforeAll(async () => {
    image = await ensureBaseImage(new Dockerode({ socketPath }));
    harness = await createDockerHarness({ socketPath, code: {} });
    if (!harness.engine.tasks) throw new Error('the engine runs no tasks');
    tasks = harness.engine.tasks;
    digest = await harness.engine.resolveImage(image);
  }, 600_000);
  afterAll(() => harness[Symbol.asyncDispose]());

  const spec = (command: readonly string[], changes: Partial<TaskSpec> = {}): TaskSpec => {
    made += 1;
    return {
      id: `job-t-${made}-1`,
      labels: {
        installation: harness.installation,
        namespace: 'n',
        job: 'test-t',
        task: made,
        attempt: 1,
        generation: 'g1',
      },
      source: { image, digest, command },
      env: {},
      secrets: {},
      limits: { memoryBytes: 2 ** 26, cpuCores: 1, pids: 64, tmpBytes: 2 ** 20 },
      tenant: 1,
      user: 'tenant',
      network: 'none',
      readOnlyRootFilesystem: true,
      hasInput: false,
      graceMs: 500,
      cleanup: 'always',
      ...changes,
    };
  };
  const run = async (given: TaskSpec, input?: AsyncIterable<Uint8Array> | Uint8Array, signal?: AbortSignal) => {
    const written: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
    const onOutput = (source: 'stdout' | 'stderr', chunk: Uint8Array) => void written[source].push(Buffer.from(chunk));
    const exit = await tasks.run(given, { input, onOutput }, signal ?? new AbortController().signal);
    return { exit, stdout: Buffer.concat(written.stdout).toString(), stderr: Buffer.concat(written.stderr).toString() };
  };
  const gone = async (id: string) => {
    for (let tries = 0; (await tasks.list()).some((task) => task.id === id); tries += 1) {
      if (tries > 50) throw new Error(`${id} is still there`);
      await sleep(100);
    }
  };

  test('run to their end with what they are told, and are removed', async () => {
    const given = spec(['sh', '-c', 'echo $A; id -u >&2; cat /var/openfaas/secrets/key; touch /x; exit 3'], {
      env: { A: 'b' },
      secrets: { key: Buffer.from('hidden') },
    });
    const { exit, stdout, stderr } = await run(given);
    expect(exit).toEqual({ code: 3, outOfMemory: false });
    expect(stdout).toBe('b\nhidden');
    expect(stderr).toMatch(/^200001\n.*Read-only file system/s);
    await gone(given.id);
  });

  test('get standard input as it comes and its end; what they write comes back byte by byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 256));
    const pieces = async function* () {
      for (let at = 0; at < bytes.length; at += 50_000) {
        yield bytes.subarray(at, at + 50_000);
        await sleep(1);
      }
    };
    const sum = await run(spec(['sh', '-c', 'cat | md5sum'], { hasInput: true }), pieces());
    const whole = await run(spec(['sh', '-c', 'cat | md5sum'], { hasInput: true }), bytes);
    expect(sum.stdout).toBe(whole.stdout);
    expect(sum.exit.code).toBe(0);
    // One that does not read it all is not held up.
    expect((await run(spec(['true'], { hasInput: true }), bytes)).exit.code).toBe(0);
  });

  test('are stopped with SIGTERM, and SIGKILL after the grace', async () => {
    const gentle = spec(['sh', '-c', 'trap "echo bye; exit 7" TERM; sleep 60 & wait']);
    const stubborn = spec(['sh', '-c', 'trap "" TERM; while :; do sleep 1; done']);
    const [first, second] = await Promise.all(
      [gentle, stubborn].map((given) => run(given, undefined, AbortSignal.timeout(2_500))),
    );
    expect(first).toMatchObject({ exit: { code: 7 }, stdout: 'bye\n' });
    expect(second).toMatchObject({ exit: { code: 137, signal: 'SIGKILL' } });
  });

  test('tell that memory ran out', async () => {
    const { exit } = await run(spec(['sh', '-c', 'tail /dev/zero']));
    expect(exit).toMatchObject({ outOfMemory: true });
  });

  test('of one group follow each other in network namespaces that nobody else is ever in', async () => {
    const inode = ['sh', '-c', 'readlink /proc/self/ns/net'];
    const given = () => spec(inode, { network: 'egress', group: 'test-t' });
    const [first, second] = [await run(given()), await run(given())];
    const [third, fourth] = await Promise.all([run(given()), run(given())]);
    const other = await run(spec(inode, { network: 'egress', group: 'test-u' }));
    expect(first.stdout).toBe(second.stdout);
    expect(third.stdout).not.toBe(fourth.stdout);
    expect([first.stdout, third.stdout, fourth.stdout]).not.toContain(other.stdout);
    tasks.endGroup('test-t');
    tasks.endGroup('test-u');
  });

  test('E1: another server joins those that run, or have ended, with all they wrote; instances are not among them', async () => {
    const leave = new AbortController();
    const given = spec(['sh', '-c', 'echo one; sleep 1; echo two; exit 5']);
    const io = { onOutput: () => {}, leave: leave.signal };
    const left = tasks.run(given, io, new AbortController().signal).then(
      () => 'it ended',
      (error: unknown) => (error === leave.signal.reason ? 'left' : error),
    );
    for (let tries = 0; tries < 100 && !(await tasks.list()).some(({ state }) => state === 'running'); tries += 1) {
      await sleep(50);
    }
    leave.abort();
    expect(await left).toBe('left');
    const next = harness.open();
    expect(await next.list()).toEqual([]);
    const join = async (cleanup: TaskSpec['cleanup']): Promise<readonly [InstanceExit | undefined, string]> => {
      const found = (await next.tasks?.list())?.find(({ id }) => id === given.id);
      if (!found) throw new Error('it is gone');
      let text = '';
      const exit = await next.tasks?.join(
        found,
        { graceMs: 0, cleanup },
        { onOutput: (_, chunk) => void (text += Buffer.from(chunk).toString()) },
        new AbortController().signal,
      );
      return [exit, text];
    };
    expect(await join('on-success')).toEqual([{ code: 5, outOfMemory: false }, 'one\ntwo\n']);
    // A policy kept it: it has ended and is joined all the same.
    expect(await join('always')).toEqual([{ code: 5, outOfMemory: false }, 'one\ntwo\n']);
    await gone(given.id);
    await next[Symbol.asyncDispose]();
  });

  test('whose command the image lacks fail, and nothing is left behind', async () => {
    const { exit, stderr } = await run(spec(['no-such-program']));
    expect(exit.code).toBe(127);
    expect(stderr).toContain('no-such-program');
  });
});
