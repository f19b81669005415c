import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineConformance } from '../../../../../testing/conformance/engine.ts';
import { createLogger } from '../../core/logger.ts';
import { prepareNodeRuntime } from '../../runtimes/prepare-runtime.ts';
import type { InstanceSpec } from '../engine.ts';
import { createProcessEngine } from './process-engine.ts';

const probeDir = join(import.meta.dirname, '../../../../../testing/conformance/engine-probe');

engineConformance('process', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ebb-'));
  const runDir = join(dataDir, 'run');
  const codeDir = join(dataDir, 'code');
  await cp(probeDir, codeDir, { recursive: true });
  const runtime = await prepareNodeRuntime({ dataDir });
  const logger = createLogger('silent');
  const open = (installation: string) => createProcessEngine({ installation, runDir, runtime, logger });
  const engine = open('one');
  let made = 0;
  return {
    engine,
    spec(overrides: Partial<InstanceSpec> = {}): InstanceSpec {
      made += 1;
      return {
        id: `p-${made}`,
        labels: { installation: 'one', namespace: 'openfaas-fn', function: 'probe', version: 1, generation: 'g1' },
        source: { kind: 'code', runtime: 'node', codeDir },
        env: {},
        secrets: {},
        limits: { memoryBytes: 2 ** 28, cpuCores: 1, pids: 256, tmpBytes: 2 ** 26 },
        tenant: 1,
        user: 'tenant',
        network: 'egress',
        readOnlyRootFilesystem: true,
        ...overrides,
      };
    },
    reopen: async () => open('one'),
    another: async () => open('another'),
    async dispose() {
      await engine[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true });
    },
  };
});
