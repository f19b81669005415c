import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../core/logger.ts';
import { prepareNodeRuntime } from '../runtimes/prepare-runtime.ts';
import { awaitReady } from './await-ready.ts';
import type { Engine } from './engine.ts';
import { createProcessEngine } from './process/process-engine.ts';
import { sendSpecialise } from './send-specialise.ts';

describe('what a spare of the Node runtime is told', () => {
  let dataDir: string;
  let engine: Engine;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'ebb-'));
    const runtime = await prepareNodeRuntime({ dataDir });
    const logger = createLogger('silent');
    engine = createProcessEngine({ installation: 'one', runDir: join(dataDir, 'run'), runtime, logger });
  });
  afterAll(async () => {
    for (const { id } of await engine.list()) await engine.stop(id, { graceMs: 0 });
    await engine[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true });
  });

  const spare = async (id: string): Promise<string> => {
    const { target } = await engine.createSpare({
      id,
      labels: { installation: 'one', generation: 'g1' },
      runtime: 'node',
      limits: { memoryBytes: 2 ** 28, cpuCores: 1, pids: 256, tmpBytes: 2 ** 26 },
      network: 'egress',
      readOnlyRootFilesystem: true,
    });
    await awaitReady(target, { signal: AbortSignal.timeout(20_000), exited: new Promise(() => {}) });
    return target.kind === 'unix' ? target.path : '';
  };

  test('code that did not reach it is noticed, and none is loaded', async () => {
    const socket = await spare('s-1');
    const sent = sendSpecialise(socket, { env: {}, workDir: dataDir, workDirInode: '1' });
    await expect(sent).rejects.toMatchObject({ code: 'UNSUPPORTED_BY_ENGINE' });
    await expect(sendSpecialise(socket, { env: {}, workDir: dataDir })).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
    });
  });

  test('a spare that is gone is an error of the engine', async () => {
    const socket = await spare('s-2');
    await engine.stop('s-2', { graceMs: 0 });
    await expect(sendSpecialise(socket, { env: {}, workDir: dataDir })).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
    });
  });

  test('one that does not answer is given up with the reason of the signal', async () => {
    const socket = await spare('s-3');
    await engine.freeze('s-3');
    const signal = AbortSignal.timeout(50);
    await expect(sendSpecialise(socket, { env: {}, workDir: dataDir }, signal)).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    await engine.thaw('s-3');
  });
});
