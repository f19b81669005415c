import { fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../../core/logger.ts';
import { prepareNodeRuntime, type PreparedRuntime } from '../../runtimes/prepare-runtime.ts';
import { awaitReady } from '../await-ready.ts';
import type { Engine, InstanceSpec, Target } from '../engine.ts';
import { createInstanceDir, instanceDirPaths, listInstanceDirs } from '../instance-dir.ts';
import { writeState } from './instance-state.ts';
import { bootId, readProcess } from './proc.ts';
import { createProcessEngine } from './process-engine.ts';

const probeDir = join(import.meta.dirname, '../../../../../testing/conformance/engine-probe');
const labels = { installation: 'one', namespace: 'openfaas-fn', function: 'probe', version: 1, generation: 'g1' };

describe('process engine, faults', { timeout: 30_000 }, () => {
  let dataDir: string;
  let runDir: string;
  let runtime: PreparedRuntime;
  let engine: Engine;
  let made = 0;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'ebb-'));
    runDir = join(dataDir, 'run');
    runtime = await prepareNodeRuntime({ dataDir });
    await cp(probeDir, join(dataDir, 'code'), { recursive: true });
    engine = open();
  });
  afterAll(async () => {
    for (const { id } of await engine.list()) await engine.stop(id, { graceMs: 0 });
    await engine[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true });
  });

  const open = () => createProcessEngine({ installation: 'one', runDir, runtime, logger: createLogger('silent') });
  const spec = (overrides: Partial<InstanceSpec> = {}): InstanceSpec => {
    made += 1;
    return {
      id: `x-${made}`,
      labels,
      source: { kind: 'code', runtime: 'node', codeDir: join(dataDir, 'code') },
      env: {},
      secrets: {},
      limits: { memoryBytes: 2 ** 28, cpuCores: 1, pids: 256, tmpBytes: 2 ** 26 },
      tenant: 1,
      user: 'tenant',
      network: 'egress',
      readOnlyRootFilesystem: true,
      ...overrides,
    };
  };
  const ready = (target: Target) =>
    awaitReady(target, { signal: AbortSignal.timeout(20_000), exited: new Promise(() => {}) });
  const get = async (target: Target, path: string) => {
    const sent = request({ socketPath: target.kind === 'unix' ? target.path : '', path, agent: false });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return readText(response);
  };
  const texts = async (from: Engine, id: string) => {
    const lines: string[] = [];
    for await (const { text } of from.logs(id, { follow: false })) lines.push(text);
    return lines;
  };

  test('instances survive a killed server, and the next one takes them over (E1, case 1)', async () => {
    const made = spec();
    const script = join(dataDir, 'server.ts');
    await writeFile(
      script,
      `import { createProcessEngine } from ${JSON.stringify(join(import.meta.dirname, 'process-engine.ts'))};
       const engine = createProcessEngine({ installation: 'one', runDir: ${JSON.stringify(runDir)},
         runtime: ${JSON.stringify(runtime)}, logger: console });
       process.send(await engine.create(${JSON.stringify(made)}));
       setInterval(() => {}, 1000);`,
    );
    const server = fork(script, { execArgv: [] });
    const [instance] = (await once(server, 'message')) as [{ target: Target }];
    await ready(instance.target);
    server.kill('SIGKILL');
    await once(server, 'exit');

    await get(instance.target, '/log?text=while-nobody-looked');
    expect(await engine.list()).toMatchObject([{ id: made.id, labels, state: 'running' }]);
    expect(await texts(engine, made.id)).toContain('while-nobody-looked');
    const pid = JSON.parse(await readFile(join(runDir, 'i', made.id, 'state.json'), 'utf8')).process.pid;
    await engine.stop(made.id, { graceMs: 2000 });
    expect(['Z', undefined]).toContain(readProcess(pid)?.state);
    expect(await listInstanceDirs(runDir)).not.toContain(made.id);
  });

  test('a process that has the id of an ended one is not touched', async () => {
    const { id } = spec();
    const dir = await createInstanceDir({ runDir, id, secrets: {} });
    await mkdir(join(dir.root, 'log'));
    // This test's own process, as if it had got the id of an instance of before.
    const reused = { pid: process.pid, startTicks: '1' };
    await writeState(dir.root, { labels, startedAt: 1, bootId: bootId(), process: reused });
    expect((await engine.list()).find((found) => found.id === id)).toMatchObject({ state: 'exited' });
    await engine.stop(id, { graceMs: 10 });
    expect(await listInstanceDirs(runDir)).not.toContain(id);
  });

  test('nothing of another boot of the machine is taken for running', async () => {
    const { id } = spec();
    const dir = await createInstanceDir({ runDir, id, secrets: {} });
    await mkdir(join(dir.root, 'log'));
    const startTicks = readProcess(process.pid)?.startTicks ?? '';
    const own = { pid: process.pid, startTicks };
    await writeState(dir.root, { labels, startedAt: 1, bootId: 'another', process: own });
    expect((await engine.list()).find((found) => found.id === id)).toMatchObject({ state: 'exited' });
    await engine.stop(id, { graceMs: 10 });
  });

  test('a create that was cut off leaves nothing for long (E1)', async () => {
    const { id } = spec();
    const { root } = await createInstanceDir({ runDir, id, secrets: {} });
    await engine.list();
    expect(await listInstanceDirs(runDir)).toContain(id);
    const before = new Date(Date.now() - 60_000);
    await utimes(root, before, before);
    await engine.list();
    expect(await listInstanceDirs(runDir)).not.toContain(id);
  });

  test('a create cut off after the process started is found by the process (E1)', async () => {
    const wanted = spec();
    const { target } = await engine.create(wanted);
    await ready(target);
    const { root } = instanceDirPaths(runDir, wanted.id);
    await writeState(root, { labels, startedAt: 1, bootId: bootId() });
    await using next = open();
    expect((await next.list()).find(({ id }) => id === wanted.id)).toMatchObject({ state: 'running' });
    await next.stop(wanted.id, { graceMs: 1000 });
    await expect(get(target, '/')).rejects.toThrow();
  });

  test('a code directory that is not there is said, and leaves nothing', async () => {
    const wanted = spec({ source: { kind: 'code', runtime: 'node', codeDir: join(dataDir, 'missing') } });
    await expect(engine.create(wanted)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect(await listInstanceDirs(runDir)).not.toContain(wanted.id);
  });

  test('a function that may not reach the network is refused, not run with it', async () => {
    const refused = engine.create(spec({ network: 'none' }));
    await expect(refused).rejects.toMatchObject({ code: 'UNSUPPORTED_BY_ENGINE' });
  });

  test('a flood of output neither fills the disk nor the memory (case 45)', async () => {
    const { id, target } = await engine.create(spec());
    await ready(target);
    const file = join(runDir, 'i', id, 'log', 'stdout');
    const block = Buffer.from(`${'x'.repeat(99)}\n`.repeat(10_000));
    for (let megabyte = 0; megabyte < 12; megabyte += 1) await appendFile(file, block);
    await expect.poll(async () => (await stat(file)).size, { timeout: 10_000 }).toBeLessThan(4 * 2 ** 20 + 1);
    await get(target, '/log?text=after-the-flood');
    await expect.poll(() => texts(engine, id), { timeout: 10_000 }).toContain('after-the-flood');
    expect((await texts(engine, id)).length).toBeLessThanOrEqual(2000);
    await engine.stop(id, { graceMs: 1000 });
  });
});
