import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile, chmod } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { text as consumeText } from 'node:stream/consumers';
import { READY_PATH } from '@ebb/contract';
import Dockerode from 'dockerode';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createDockerHarness, type DockerHarness } from '../../../../../testing/harness/docker-engine.ts';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';
import { awaitReady } from '../await-ready.ts';
import type { EngineEvent, Instance, InstanceExit, InstanceSpec } from '../engine.ts';
import { containerName } from './build-host-config.ts';
import { mountPoints } from './mount-table.ts';

const RUNNING = new Promise<InstanceExit>(() => {});

/** Answers with what the expression in the query gives. */
const EVAL = `
import * as fs from 'node:fs';
import { getCompileCacheDir } from 'node:module';
export default async (request: Request, response: any) => {
  const code = new URL(request.url, 'http://x').searchParams.get('code') ?? '';
  try {
    response.end(JSON.stringify((0, eval)('(fs, cacheDir) => (' + code + ')')(fs, getCompileCacheDir) ?? null));
  } catch (error) {
    response.end(JSON.stringify((error as { code?: string }).code ?? String(error)));
  }
};
`;

describeWithDocker('spares on docker', (socketPath) => {
  const docker = new Dockerode({ socketPath });
  let harness: DockerHarness;
  beforeAll(async () => {
    harness = await createDockerHarness({ socketPath, code: { 'index.ts': EVAL } });
    await harness.engine.prepare();
  }, 600_000);
  afterEach(async () => {
    for (const { id } of await harness.engine.list()) await harness.engine.stop(id, { graceMs: 0 });
  });
  afterAll(async () => harness[Symbol.asyncDispose]());

  const spare = async (): Promise<string> => {
    const { id, labels, limits, network, readOnlyRootFilesystem } = harness.spec();
    const wanted = { id, labels, runtime: 'node' as const, limits, network, readOnlyRootFilesystem };
    const { target } = await harness.engine.createSpare(wanted);
    await awaitReady(target, { signal: AbortSignal.timeout(30_000), exited: RUNNING });
    return id;
  };
  const start = async (overrides: Partial<InstanceSpec> = {}): Promise<Instance> => {
    const instance = await harness.engine.specialise(harness.spec({ ...overrides, id: await spare() }));
    const signal = AbortSignal.timeout(20_000);
    await awaitReady(instance.target, { signal, exited: RUNNING, healthPath: READY_PATH });
    return instance;
  };
  const ask = async ({ target }: Instance, code: string): Promise<unknown> => {
    const socket = target.kind === 'unix' ? target.path : '';
    const body = await new Promise<string>((resolve, reject) => {
      const path = `/?code=${encodeURIComponent(code)}`;
      get({ socketPath: socket, path, agent: false }, (response) => {
        consumeText(response).then(resolve, reject);
      }).on('error', reject);
    });
    return JSON.parse(body) as unknown;
  };
  const pidOf = async ({ id }: Instance) =>
    (await docker.getContainer(containerName(harness.installation, id)).inspect()).State.Pid;
  /** A limit as the kernel has it, by its file in either version of control groups. */
  const limitOf = async (instance: Instance, controller: string, v1: string, v2: string): Promise<string> => {
    const lines = readFileSync(`/proc/${await pidOf(instance)}/cgroup`, 'utf8').split('\n');
    const old = lines.find((line) => line.split(':')[1]?.split(',').includes(controller));
    const path = (old ?? lines.find((line) => line.startsWith('0::')))?.split(':')[2] ?? '';
    return readFileSync(join('/sys/fs/cgroup', old ? controller : '', path, old ? v1 : v2), 'utf8').trim();
  };

  test("memory, cpu and processes of the function are in force, also where they are less than the spare's", async () => {
    for (const [memoryBytes, cpuCores, pids] of [
      [2 ** 27, 0.5, 64],
      [2 ** 29, 2, 300],
    ] as const) {
      const instance = await start({ limits: { memoryBytes, cpuCores, pids, tmpBytes: 2 ** 26 } });
      expect(await limitOf(instance, 'memory', 'memory.limit_in_bytes', 'memory.max')).toBe(String(memoryBytes));
      expect(await limitOf(instance, 'cpu', 'cpu.cfs_quota_us', 'cpu.max')).toMatch(
        new RegExp(`^${cpuCores * 100_000}(?: 100000)?$`),
      );
      expect(await limitOf(instance, 'pids', 'pids.max', 'pids.max')).toBe(String(pids));
    }
  });

  test('a specialised spare that outgrows its memory ends, and that is said to be the reason', async () => {
    const done = new AbortController();
    const instance = await start({ limits: { memoryBytes: 2 ** 27, cpuCores: 1, pids: 64, tmpBytes: 2 ** 26 } });
    const events = harness.engine.events(done.signal);
    const ended = (async (): Promise<EngineEvent | undefined> => {
      for await (const event of events) if (event.id === instance.id) return event;
      return undefined;
    })();
    void ask(instance, 'globalThis.held = Array.from({ length: 300 }, () => Buffer.alloc(1e6, 1)).length').catch(
      () => {},
    );
    expect((await ended)?.exit).toMatchObject({ outOfMemory: true });
    done.abort();
  });

  test('the code is read-only, and nothing of the host or of the platform can be changed', async () => {
    const instance = await start({ secrets: { token: Buffer.from('s3cret') } });
    expect(await ask(instance, 'fs.readdirSync("/function")')).toEqual(['index.ts']);
    expect(await ask(instance, 'fs.writeFileSync("/function/x", "")')).toBe('EROFS');
    expect(await ask(instance, 'fs.writeFileSync("/opt/ebb/compiled/x", "")')).toBe('EROFS');
    expect(await ask(instance, 'fs.writeFileSync("/run/ebb/x", "")')).toBe('EACCES');
    expect(await ask(instance, 'fs.writeFileSync("/var/openfaas/secrets/token", "")')).toMatch(/^(?:EROFS|EACCES)$/);
    expect(await ask(instance, 'fs.statSync("/var/openfaas/secrets/token").uid === process.getuid()')).toBe(true);
    expect(await ask(instance, 'fs.readFileSync("/proc/self/status", "utf8").match(/CapEff:\\s+(\\w+)/)[1]')).toMatch(
      /^0+$/,
    );
    const mounted = readFileSync(`/proc/${await pidOf(instance)}/mountinfo`, 'utf8').split('\n');
    const code = mounted.filter((line) => line.split(' ')[4] === '/function').at(-1);
    expect(code?.split(' ')[5]?.split(',')).toEqual(expect.arrayContaining(['ro', 'nosuid', 'nodev']));
  });

  test('two spares run as users of their own, whatever the namespace', async () => {
    const [one, two] = [await start(), await start()];
    expect(await ask(one, 'process.getuid()')).not.toBe(await ask(two, 'process.getuid()'));
    expect(await ask(one, 'process.getuid() >= 2 ** 30')).toBe(true);
  });

  test('what the first instance compiles, later ones of the version get, read-only, and no other version does', async () => {
    const labels = { ...harness.spec().labels, version: 77 };
    const compiled = join(harness.directory, 'data', 'compiled');
    const before = new Set(await readdir(compiled).catch(() => []));
    const first = await start({ labels });
    expect(await ask(first, 'cacheDir()')).toMatch(/^\/tmp\//);
    await expect
      .poll(async () => (await readdir(compiled)).filter((name) => !before.has(name) && !name.startsWith('.')))
      .toHaveLength(1);
    const second = await start({ labels });
    expect(await ask(second, 'cacheDir()')).toMatch(/^\/opt\/ebb\/compiled\//);
    expect(await ask(second, 'fs.readdirSync(cacheDir()).length > 0')).toBe(true);
    expect(await ask(second, 'fs.writeFileSync(cacheDir() + "/x", "")')).toBe('EROFS');
    const other = await start({ labels: { ...labels, version: 78 } });
    expect(await ask(other, 'cacheDir()')).toMatch(/^\/tmp\//);
  });

  test('the code of a function is not reachable from the instance of another', async () => {
    const directory = await mkdtemp('/tmp/ebb-d-other-');
    await chmod(directory, 0o755);
    await writeFile(join(directory, 'index.ts'), EVAL);
    await writeFile(join(directory, 'private.txt'), 'private');
    const other = await start({ source: { kind: 'code', runtime: 'node', codeDir: directory } });
    const mine = await start();
    expect(await ask(other, 'fs.readdirSync("/function")')).toEqual(['index.ts', 'private.txt']);
    expect(await ask(mine, 'fs.readdirSync("/function")')).toEqual(['index.ts']);
    expect(await ask(mine, 'fs.readFileSync("/proc/self/mountinfo", "utf8")')).not.toContain(directory);
    await rm(directory, { recursive: true });
  });

  test('E1: what is mounted for a container that somebody removed is taken away by the next server', async () => {
    const instance = await start();
    const root = join(harness.directory, 'run', 'i', instance.id);
    expect((await mountPoints()).filter((point) => point.startsWith(root))).not.toEqual([]);
    await docker.getContainer(containerName(harness.installation, instance.id)).remove({ force: true });
    await using next = harness.open();
    await next.prepare();
    expect((await mountPoints()).filter((point) => point.startsWith(root))).toEqual([]);
  });
});
