import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDockerHarness, type DockerHarness } from '../../../../../testing/harness/docker-engine.ts';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';
import type { Instance } from '../engine.ts';
import { containerName } from './build-host-config.ts';
import { findCgroupFreezer } from './cgroup-freezer.ts';

const CODE = { 'index.mjs': 'export default (request, response) => response.end("ok");' };

function ask({ target }: Instance): Promise<number | undefined> {
  if (target.kind !== 'unix') throw new Error('a managed function has a unix socket');
  return new Promise((resolve, reject) => {
    request({ socketPath: target.path, path: '/' }, (response) => resolve(response.resume().statusCode))
      .once('error', reject)
      .end();
  });
}

describeWithDocker('freezing containers', (socketPath) => {
  const docker = new Dockerode({ socketPath });
  let harness: DockerHarness;
  beforeAll(async () => {
    harness = await createDockerHarness({ socketPath, code: CODE, freezeBy: 'engine' });
  }, 120_000);
  afterAll(() => harness[Symbol.asyncDispose](), 60_000);
  const inspect = (id: string) => docker.getContainer(containerName(harness.installation, id)).inspect();
  const stateOf = async (id: string) => (await harness.engine.list()).find((found) => found.id === id)?.state;

  test('through the daemon an instance freezes, thaws, and stops while it is frozen', async () => {
    const { engine } = harness;
    const instance = await harness.start();
    const { id } = instance;
    for (let round = 0; round < 2; round += 1) {
      await engine.freeze(id);
      await engine.freeze(id);
      expect((await inspect(id)).State.Paused).toBe(true);
      expect(await stateOf(id)).toBe('frozen');
      await engine.thaw(id);
      await engine.thaw(id);
      expect(await ask(instance)).toBe(200);
    }
    await engine.freeze(id);
    await engine.stop(id, { graceMs: 5_000 });
    expect(await stateOf(id)).toBeUndefined();
  }, 60_000);

  test('what the daemon paused is thawed by a server that would have used the cgroup', async () => {
    const instance = await harness.start();
    await harness.engine.freeze(instance.id);
    const engine = harness.open(undefined, { freezeBy: 'cgroup' });
    await engine.thaw(instance.id);
    expect((await inspect(instance.id)).State.Paused).toBe(false);
    expect(await ask(instance)).toBe(200);
    await engine.freeze(instance.id);
    const answer = ask(instance);
    await engine.thaw(instance.id);
    expect(await answer).toBe(200);
  }, 60_000);

  test('past the daemon an instance uses no CPU, and one removed by hand is no trouble', async () => {
    const engine = harness.open(undefined, { freezeBy: 'cgroup' });
    const { id } = await harness.start();
    const { Id, State } = await inspect(id);
    await engine.freeze(id);
    // Where the control group cannot be written, the daemon is asked after all.
    const isPastDaemon = findCgroupFreezer({ id: Id, pid: State.Pid }) !== undefined;
    expect((await inspect(id)).State.Paused).toBe(!isPastDaemon);
    const cpuMs = async () => (await engine.stats(id)).cpuMs;
    const before = await cpuMs();
    await delay(50);
    expect(await cpuMs()).toBe(before);
    await docker.getContainer(Id).remove({ force: true });
    await expect(engine.thaw(id)).rejects.toMatchObject({ name: 'EbbError' });
    await engine.stop(id, { graceMs: 0 });
  }, 60_000);

  test('the control group of version 2 does what version 1 does', async () => {
    const instance = await harness.start();
    const { Id, State } = await inspect(instance.id);
    // Hosts with both versions have both hierarchies: here the first is left out of what the kernel says.
    const proc = await mkdtemp('/tmp/ebb-proc-');
    const only = async (path: string, pattern: RegExp) => {
      const lines = (await readFile(`/proc/${path}`, 'utf8')).split('\n').filter((line) => pattern.test(line));
      await mkdir(join(proc, dirname(path)), { recursive: true });
      await writeFile(join(proc, path), lines.join('\n'));
    };
    await only(`${State.Pid}/cgroup`, /^0::/);
    await only('self/mountinfo', / - cgroup2 /);
    const freezer = findCgroupFreezer({ id: Id, pid: State.Pid, proc });
    await rm(proc, { recursive: true });
    // A host without it, or a user who may not write there.
    if (!freezer) return;
    await freezer.freeze();
    expect(freezer.isFrozen()).toBe(true);
    let isAnswered = false;
    const answer = ask(instance).then((status) => {
      isAnswered = true;
      return status;
    });
    await delay(60);
    expect(isAnswered).toBe(false);
    freezer.thaw();
    expect([await answer, freezer.isFrozen()]).toEqual([200, false]);
  }, 60_000);
});
