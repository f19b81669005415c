import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newShortId } from '../../packages/server/src/core/ids.ts';
import { createLogger } from '../../packages/server/src/core/logger.ts';
import { awaitReady } from '../../packages/server/src/engines/await-ready.ts';
import {
  createDockerEngine,
  type DockerEngineOptions,
} from '../../packages/server/src/engines/docker/docker-engine.ts';
import type { Engine, Instance, InstanceExit, InstanceSpec } from '../../packages/server/src/engines/engine.ts';
import { prepareNodeRuntime } from '../../packages/server/src/runtimes/prepare-runtime.ts';

/** What a test of the Docker engine is made with. */
export interface DockerHarnessOptions extends Partial<Omit<DockerEngineOptions, 'runtime'>> {
  readonly socketPath: string;
  /** Files of the function that instances of code run, by name. */
  readonly code: Readonly<Record<string, string>>;
}

/** A Docker engine in directories of its own. */
export interface DockerHarness extends AsyncDisposable {
  readonly engine: Engine;
  readonly installation: string;
  readonly directory: string;
  /** A spec with an id of its own for the harness's code. */
  spec(overrides?: Partial<InstanceSpec>): InstanceSpec;
  /** Makes an instance and waits until it is ready. */
  start(overrides?: Partial<InstanceSpec>): Promise<Instance>;
  /** Another engine object over the same directories; of the same installation unless another is named. */
  open(installation?: string, changes?: Partial<DockerEngineOptions>): Engine;
}

const RUNNING = new Promise<InstanceExit>(() => {});

/** Makes an engine over a real daemon and the real Node runtime. Disposing it stops all of its instances. */
export async function createDockerHarness(options: DockerHarnessOptions): Promise<DockerHarness> {
  const { code, ...overrides } = options;
  const directory = await mkdtemp('/tmp/ebb-d-');
  const installation = overrides.installation ?? `test-${newShortId(4)}`;
  const codeDir = await mkdtemp(join(directory, 'code-'));
  // Instances run as users of their own.
  await Promise.all([chmod(directory, 0o755), chmod(codeDir, 0o755)]);
  for (const [name, text] of Object.entries(code)) await writeFile(join(codeDir, name), text);
  const dataDir = join(directory, 'data');
  const runtime = await prepareNodeRuntime({ dataDir });
  const logger = createLogger('silent');
  const open = (name = installation, changes: Partial<DockerEngineOptions> = {}) => {
    const runDir = join(directory, name === installation ? 'run' : `run-${name}`);
    return createDockerEngine({ runDir, dataDir, runtime, logger, ...overrides, installation: name, ...changes });
  };
  const engine = open();
  let made = 0;
  const spec = (changes: Partial<InstanceSpec> = {}): InstanceSpec => {
    made += 1;
    return {
      id: `d-${made}`,
      labels: { installation, namespace: 'openfaas-fn', function: 'probe', version: 1, generation: 'g1' },
      source: { kind: 'code', runtime: 'node', codeDir },
      env: {},
      secrets: {},
      limits: { memoryBytes: 2 ** 28, cpuCores: 1, pids: 256, tmpBytes: 2 ** 26 },
      tenant: 1,
      user: 'tenant',
      network: 'egress',
      readOnlyRootFilesystem: true,
      ...changes,
    };
  };
  return {
    engine,
    installation,
    directory,
    spec,
    open,
    async start(changes) {
      const instance = await engine.create(spec(changes));
      await awaitReady(instance.target, { signal: AbortSignal.timeout(30_000), exited: RUNNING });
      return instance;
    },
    async [Symbol.asyncDispose]() {
      const left = await engine.list().catch(() => []);
      await Promise.allSettled(left.map(({ id }) => engine.stop(id, { graceMs: 0 })));
      await engine[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
