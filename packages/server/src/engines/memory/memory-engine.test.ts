import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { answerProbe } from '../../../../../testing/conformance/engine-probe/index.ts';
import { engineConformance } from '../../../../../testing/conformance/engine.ts';
import { awaitReady } from '../await-ready.ts';
import type { InstanceExit, InstanceSpec } from '../engine.ts';
import { listInstanceDirs } from '../instance-dir.ts';
import { createMemoryEngine, createMemoryHost, type MemoryFaults } from './memory-engine.ts';
import type { MemoryServe } from './memory-instance.ts';

const serve: MemoryServe = (spec, controls) => (request, response) =>
  answerProbe(request, response, {
    env: (name) => spec.env[name],
    secret: (name) => {
      const value = spec.secrets[name];
      return value && Buffer.from(value).toString();
    },
    log: (text, to) => controls.log(text, to),
    exit: (code) => controls.exit({ code }),
  });

let made = 0;
function spec(overrides: Partial<InstanceSpec> = {}): InstanceSpec {
  made += 1;
  return {
    id: `m-${made}`,
    labels: { installation: 'test', namespace: 'openfaas-fn', function: 'probe', version: 1, generation: 'g1' },
    source: { kind: 'code', runtime: 'node', codeDir: '/nowhere' },
    env: {},
    secrets: {},
    limits: { memoryBytes: 2 ** 28, cpuCores: 1, pids: 256, tmpBytes: 2 ** 26 },
    tenant: 1,
    user: 'tenant',
    network: 'egress',
    readOnlyRootFilesystem: true,
    ...overrides,
  };
}

engineConformance('memory', async () => {
  const runDir = await mkdtemp(join(tmpdir(), 'ebb-'));
  const host = createMemoryHost();
  const open = (installation: string) => createMemoryEngine({ runDir, serve, host, installation });
  return {
    engine: open('test'),
    spec,
    reopen: async () => open('test'),
    another: async () => open('another'),
    dispose: () => rm(runDir, { recursive: true }),
  };
});

describe('memory engine faults', async () => {
  const runDir = await mkdtemp(join(tmpdir(), 'ebb-'));
  afterAll(() => rm(runDir, { recursive: true }));
  const open = (faults: MemoryFaults) => createMemoryEngine({ runDir, serve, faults, callTimeoutMs: 20 });

  test('a failing create leaves nothing', async () => {
    const engine = open({ failingCreates: 1 });
    await expect(engine.create(spec())).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect(await listInstanceDirs(runDir)).toEqual([]);
  });

  test('a lying create leaves an instance that is found by listing (case 6)', async () => {
    const engine = open({ lyingCreates: 1 });
    const lied = spec();
    await expect(engine.create(lied)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect(await engine.create(lied)).toMatchObject({ id: lied.id, state: 'running' });
    expect(engine.createCount()).toBe(2);
    await engine.stop(lied.id, { graceMs: 0 });
  });

  test('a crashing start ends before it is ready', async () => {
    const engine = open({ crashingStarts: 1 });
    const done = new AbortController();
    const events = engine.events(done.signal);
    const { id, target } = await engine.create(spec());
    const exited = (async (): Promise<InstanceExit> => {
      for await (const event of events) if (event.exit) return event.exit;
      throw new Error('no exit');
    })();
    const ready = awaitReady(target, { signal: AbortSignal.timeout(5000), exited });
    await expect(ready).rejects.toMatchObject({ code: 'START_FAILED' });
    done.abort();
    await engine.stop(id, { graceMs: 0 });
  });

  test('a hanging engine throws ENGINE_TIMEOUT (case 5)', async () => {
    const engine = open({ isHanging: true });
    await expect(engine.list()).rejects.toMatchObject({ code: 'ENGINE_TIMEOUT' });
    await expect(engine.create(spec())).rejects.toMatchObject({ code: 'ENGINE_TIMEOUT' });
    await expect(engine.stop('x', { graceMs: 0 })).rejects.toMatchObject({ code: 'ENGINE_TIMEOUT' });
    expect(await engine.probe()).toMatchObject({ ok: false });
  });

  test('a delayed start becomes ready later', async () => {
    const engine = open({ readyDelayMs: 30, createDelayMs: 5 });
    const { id, target } = await engine.create(spec());
    await awaitReady(target, { signal: AbortSignal.timeout(5000), exited: new Promise(() => {}) });
    await engine.stop(id, { graceMs: 0 });
  });
});
