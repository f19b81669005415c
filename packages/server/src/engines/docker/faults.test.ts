import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDockerHarness, type DockerHarness } from '../../../../../testing/harness/docker-engine.ts';
import { type DockerProxy, startDockerProxy } from '../../../../../testing/harness/docker-proxy.ts';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';
import { type PrivateDocker, startPrivateDocker } from '../../../../../testing/services/docker.ts';
import type { EngineEvent, Instance } from '../engine.ts';
import { listInstanceDirs } from '../instance-dir.ts';
import { containerName } from './build-host-config.ts';

const CODE = { 'index.mjs': 'export default (request, response) => response.end("ok");' };

async function get({ target }: Instance): Promise<number | undefined> {
  if (target.kind !== 'unix') throw new Error('a managed function has a unix socket');
  return new Promise((resolve, reject) => {
    request({ socketPath: target.path, path: '/' }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

describeWithDocker('a daemon that lies (case 6)', (socketPath) => {
  const docker = new Dockerode({ socketPath });
  let directory: string;
  let proxy: DockerProxy;
  let harness: DockerHarness;
  beforeAll(async () => {
    directory = await mkdtemp('/tmp/ebb-lie-');
    proxy = await startDockerProxy(socketPath, directory);
    harness = await createDockerHarness({ socketPath: proxy.socketPath, code: CODE });
    await harness.engine.prepare();
  }, 120_000);
  afterAll(async () => {
    proxy.lie();
    await harness[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  const once = (method: string, path: RegExp, status: number) => {
    let isTold = false;
    proxy.lie((call) => {
      if (isTold || call.method !== method || !path.test(call.path)) return undefined;
      isTold = true;
      return { status };
    });
  };
  const rests = async () => ({
    containers: (
      await docker.listContainers({ all: true, filters: { label: [`ebb.installation=${harness.installation}`] } })
    ).length,
    directories: (await listInstanceDirs(`${harness.directory}/run`)).length,
  });

  test.each([
    ['create', /\/containers\/create$/, 500],
    ['create, by conflict,', /\/containers\/create$/, 409],
    ['start', /\/start$/, 500],
  ])('a %s that failed by its answer but not in fact gives the instance', async (_what, path, status) => {
    once('POST', path, status);
    const instance = await harness.start();
    expect(await get(instance)).toBe(200);
    expect(await rests()).toEqual({ containers: 1, directories: 1 });
    await harness.engine.stop(instance.id, { graceMs: 0 });
  });

  test('rests of an earlier instance under the same name are replaced', async () => {
    const spec = harness.spec();
    await docker.createContainer({
      name: containerName(harness.installation, spec.id),
      Image: (await docker.listImages())[0]?.Id ?? '',
      Cmd: ['/nothing'],
      Labels: { 'ebb.installation': harness.installation, 'ebb.instance': spec.id },
    });
    expect(await harness.engine.list()).toMatchObject([{ id: spec.id, state: 'exited' }]);
    const instance = await harness.start({ id: spec.id });
    expect(await get(instance)).toBe(200);
    await harness.engine.stop(spec.id, { graceMs: 0 });
  });

  test('a container that somebody else gave the name is left alone', async () => {
    const spec = harness.spec();
    const foreign = await docker.createContainer({
      name: containerName(harness.installation, spec.id),
      Image: (await docker.listImages())[0]?.Id ?? '',
      Cmd: ['/nothing'],
    });
    await expect(harness.engine.create(spec)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect((await foreign.inspect()).Id).toBe(foreign.id);
    await foreign.remove();
  });

  test('a create that truly fails leaves nothing and says why', async () => {
    const spec = harness.spec({ source: { kind: 'code', runtime: 'node', codeDir: '/nowhere/at/all' } });
    await expect(harness.engine.create(spec)).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('/nowhere/at/all'),
    });
    expect(await rests()).toEqual({ containers: 0, directories: 0 });
  });

  test('the network and the runtime image are made again when somebody removed them', async () => {
    await docker.getNetwork(`ebb-${harness.installation}`).remove();
    const instance = await harness.start();
    expect(await get(instance)).toBe(200);
    await harness.engine.stop(instance.id, { graceMs: 0 });
  });
});

describe('no daemon at all', () => {
  test('is ENGINE_UNAVAILABLE with what to look at, and a finding in probe, which never throws', async () => {
    await using harness = await createDockerHarness({ socketPath: '/nowhere/docker.sock', code: CODE });
    const unavailable = { code: 'ENGINE_UNAVAILABLE', message: expect.stringContaining('/nowhere/docker.sock') };
    await expect(harness.engine.prepare()).rejects.toMatchObject(unavailable);
    await expect(harness.engine.create(harness.spec())).rejects.toMatchObject(unavailable);
    await expect(harness.engine.list()).rejects.toMatchObject(unavailable);
    await expect(harness.engine.resolveImage('x')).rejects.toMatchObject(unavailable);
    expect(await harness.engine.probe()).toMatchObject({
      ok: false,
      findings: [{ check: 'docker', level: 'missing' }],
    });
  });
});

describeWithDocker('daemons under the test’s control', () => {
  describe.skipIf(process.getuid?.() !== 0)('a daemon of its own (needs root)', () => {
    let daemon: PrivateDocker;
    let harness: DockerHarness;
    beforeAll(async () => {
      const started = await startPrivateDocker();
      if ('unavailable' in started) throw new Error(started.unavailable);
      daemon = started;
      const deadlines = { queryMs: 2000, changeMs: 2000, startMs: 10_000 };
      harness = await createDockerHarness({ socketPath: daemon.socketPath, code: CODE, deadlines });
    }, 120_000);
    afterAll(async () => {
      await harness?.[Symbol.asyncDispose]();
      await daemon?.[Symbol.asyncDispose]();
    });

    test('that hangs: calls end by their deadline, and warm instances still serve, frozen ones too (case 5)', async () => {
      const instance = await harness.start();
      const frozen = await harness.start();
      await harness.engine.freeze(frozen.id);
      process.kill(daemon.pid, 'SIGSTOP');
      try {
        await harness.engine.thaw(frozen.id);
        expect(await get(frozen)).toBe(200);
        const late = { code: 'ENGINE_TIMEOUT' };
        const [probe] = await Promise.all([
          harness.engine.probe(),
          expect(harness.engine.list()).rejects.toMatchObject(late),
          expect(harness.engine.create(harness.spec())).rejects.toMatchObject(late),
          expect(harness.engine.freeze(instance.id)).rejects.toMatchObject(late),
          expect(harness.engine.stop(instance.id, { graceMs: 0 })).rejects.toMatchObject(late),
          expect(Array.fromAsync(harness.engine.logs(instance.id, { follow: true }))).rejects.toMatchObject(late),
        ]);
        expect(probe).toMatchObject({ ok: false });
        expect(await get(instance)).toBe(200);
      } finally {
        process.kill(daemon.pid, 'SIGCONT');
      }
      expect(await get(instance)).toBe(200);
      // What the daemon did with the denied create after it went on is found by label.
      for (const { id } of await harness.engine.list()) await harness.engine.stop(id, { graceMs: 0 });
      expect(await harness.engine.list()).toEqual([]);
    });

    test.each(['SIGTERM', 'SIGKILL'] as const)(
      'that is ended by %s and comes back: a resync, the truth by list, new instances (case 4, E1)',
      async (signal) => {
        const instance = await harness.start();
        const done = new AbortController();
        const seen: EngineEvent[] = [];
        const watching = (async () => {
          for await (const event of harness.engine.events(done.signal)) {
            seen.push(event);
            if (event.kind === 'resync') return;
          }
        })();
        await daemon.restart(signal);
        await watching;
        done.abort();
        await expect
          .poll(async () => (await harness.engine.list()).find(({ id }) => id === instance.id)?.state, {
            timeout: 20_000,
          })
          .toBe('exited');
        await harness.engine.stop(instance.id, { graceMs: 0 });
        expect(await get(await harness.start())).toBe(200);
        for (const { id } of await harness.engine.list()) await harness.engine.stop(id, { graceMs: 0 });
      },
    );
  });
});
