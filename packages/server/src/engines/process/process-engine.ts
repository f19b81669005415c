import { existsSync } from 'node:fs';
import { EbbError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { PreparedRuntime } from '../../runtimes/prepare-runtime.ts';
import { createBroadcast } from '../broadcast.ts';
import { openCompileCache } from '../compile-cache.ts';
import type { CodeSource, Engine, EngineEvent, Instance, InstanceSpec } from '../engine.ts';
import {
  createInstanceDir,
  INSTANCE_ID_PATTERN,
  type InstanceDir,
  instanceDirPaths,
  listInstanceDirs,
  removeInstanceDir,
  writeSecrets,
} from '../instance-dir.ts';
import { ageOf, type InstanceState, readState, writeState } from './instance-state.ts';
import { bootId, processesWith, readProcess } from './proc.ts';
import { createProcessInstance, type ProcessInstance } from './process-instance.ts';
import { sendSpecialise } from '../send-specialise.ts';
import { instanceMark, linkCode, makeWorkDir, spawnInstance, workDirOf } from './spawn-instance.ts';

/** What a process engine is made from. */
export interface ProcessEngineOptions {
  /** Id of the data directory's installation. */
  readonly installation: string;
  /** Absolute directory of the instances; short, because sockets lie in it. */
  readonly runDir: string;
  readonly runtime: PreparedRuntime;
  readonly logger: Logger;
}

/** How often instances that an earlier server started are looked at: nobody announces their end. */
const ADOPTED_CHECK_MS = 200;
/** A directory without a readable state is the rest of a create that was cut off, once it is this old. */
const ABANDONED_AFTER_MS = 10_000;

/**
 * Makes the engine that runs managed code as plain child processes: no isolation and no limits but the heap's, for
 * machines without Docker and for development. Instances survive the server and are found again by their
 * directories; a process id counts only together with its start time. Needs Linux (/proc).
 */
export function createProcessEngine(options: ProcessEngineOptions): Engine {
  const { installation, runDir, runtime, logger } = options;
  const known = new Map<string, ProcessInstance>();
  const adopted = new Set<string>();
  const creating = new Map<string, Promise<Instance>>();
  const stopping = new Map<string, Promise<void>>();
  const events = createBroadcast<EngineEvent>({ capacity: 1000, overflow: { kind: 'resync' } });
  const checks = setInterval(() => {
    for (const id of adopted) known.get(id)?.check();
  }, ADOPTED_CHECK_MS).unref();

  const keep = (id: string, instance: ProcessInstance): ProcessInstance => {
    known.set(id, instance);
    void instance.exited.then((exit) => {
      adopted.delete(id);
      events.send({ kind: 'exited', id, exit });
    });
    return instance;
  };

  /** The instance of an id, if need be from what an earlier server left. */
  const find = (id: string): ProcessInstance | undefined => {
    const found = known.get(id);
    if (found || creating.has(id) || !INSTANCE_ID_PATTERN.test(id)) return found;
    const dir = instanceDirPaths(runDir, id);
    const state = readState(dir.root);
    if (state?.labels.installation !== installation) return undefined;
    adopted.add(id);
    return keep(id, createProcessInstance({ id, runDir, dir, state: state.process ? state : recover(state, dir) }));
  };
  const require = (id: string): ProcessInstance => {
    const found = find(id);
    if (found) return found;
    throw new EbbError('ENGINE_FAILED', `there is no running instance "${id}"`);
  };

  /** Makes the directory and the process of an instance; `setUp` puts into the directory what it has from the start. */
  async function make(
    spec: Pick<InstanceSpec, 'id' | 'limits' | 'secrets'> & Pick<InstanceState, 'labels' | 'spare'>,
    setUp: (dir: InstanceDir) => Promise<Readonly<Record<string, string>>>,
    signal?: AbortSignal,
  ): Promise<Instance> {
    const { id, limits, labels, spare } = spec;
    signal?.throwIfAborted();
    const dir = await createInstanceDir({ runDir, id, secrets: spec.secrets });
    let instance: ProcessInstance | undefined;
    try {
      const state: InstanceState = {
        labels,
        ...(spare === undefined ? {} : { spare }),
        startedAt: Date.now(),
        bootId: bootId(),
      };
      // Before the process, so that a server killed in between leaves nothing unknown.
      await writeState(dir.root, state);
      await makeWorkDir(dir);
      const env = await setUp(dir);
      signal?.throwIfAborted();
      const child = await spawnInstance({ id, limits, dir, runtime, env });
      const process = { pid: child.pid, startTicks: readProcess(child.pid)?.startTicks ?? '' };
      const started = { ...state, process };
      instance = createProcessInstance({ id, runDir, dir, state: started, child });
      await writeState(dir.root, started);
      signal?.throwIfAborted();
      return keep(id, instance).describe();
    } catch (error) {
      await (instance ? instance.stop(0) : removeInstanceDir(runDir, id));
      throw toEngineError(id, error, signal);
    }
  }

  /** Returns the living instance of an id, waits for the one being made, or makes it. */
  async function makeOnce(id: string, makeIt: () => Promise<Instance>): Promise<Instance> {
    const existing = find(id)?.describe();
    if (existing && existing.state !== 'exited') return existing;
    const running = creating.get(id);
    if (running) return running;
    const made = makeIt().finally(() => creating.delete(id));
    creating.set(id, made);
    return made;
  }

  async function specialise(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance> {
    const source = codeOf(spec);
    const instance = find(spec.id);
    if (!instance?.state.spare || instance.describe().state !== 'running') throw noSpare(spec.id);
    const { spare: _spare, ...before } = instance.state;
    const state: InstanceState = { ...before, labels: pickLabels(spec) };
    const dir = instanceDirPaths(runDir, spec.id);
    instance.become(state);
    // First of all, so that no later server takes it for a spare.
    await writeState(dir.root, state);
    try {
      await Promise.all([writeSecrets(dir, spec.secrets), linkCode(dir, source.codeDir)]);
    } catch (error) {
      throw toEngineError(spec.id, error, signal);
    }
    const compileCache = await openCompileCache(runDir, spec.labels);
    const env = { ...spec.env, ...platformEnv(dir, source) };
    const message = {
      env,
      workDir: workDirOf(dir),
      ...(compileCache === undefined ? {} : { compileCache }),
    };
    (await sendSpecialise(dir.socketPath, message, signal)).destroy();
    return instance.describe();
  }

  async function end(id: string, graceMs: number): Promise<void> {
    // A create on its way is waited for: what it made is what has to end.
    await creating.get(id)?.catch(() => {});
    const instance = find(id);
    if (!instance) return;
    await instance.stop(graceMs);
    known.delete(id);
    adopted.delete(id);
  }

  return {
    name: 'process',
    capabilities: { images: false, runtimes: ['node'], isolation: 'none', freeze: true, limits: false, spares: true },
    async probe() {
      if (!existsSync('/proc/self/stat')) {
        return { ok: false, message: 'the process engine needs Linux: there is no /proc', findings: [] };
      }
      const finding = {
        check: 'isolation',
        level: 'degraded' as const,
        message: 'functions run as plain processes of the server’s user, not kept from this machine or each other',
        advice: 'install Docker and use the docker engine to run code you do not trust',
      };
      return { ok: true, message: `Node ${process.version}`, findings: [finding] };
    },
    async prepare() {
      if (existsSync(runtime.directory)) return;
      throw new EbbError('ENGINE_FAILED', `the Node runtime is missing in "${runtime.directory}"`);
    },
    async resolveImage(image) {
      throw unsupportedImage(image);
    },
    async create(spec, signal) {
      const source = codeOf(spec);
      const { id, limits, secrets } = spec;
      const setUp = async (dir: InstanceDir) => {
        await linkCode(dir, source.codeDir);
        const compileCache = await openCompileCache(runDir, spec.labels);
        return {
          ...(compileCache === undefined ? {} : { NODE_COMPILE_CACHE: compileCache }),
          ...spec.env,
          ...platformEnv(dir, source),
        };
      };
      return makeOnce(id, () => make({ id, limits, secrets, labels: pickLabels(spec) }, setUp, signal));
    },
    async createSpare({ id, labels, limits, network }, signal) {
      if (network === 'none') throw unsupportedNetwork();
      const owner = { installation, namespace: '', function: '', version: 0, generation: labels.generation };
      const setUp = async (dir: InstanceDir) => ({ EBB_SOCKET: dir.socketPath, EBB_SPARE: '1' });
      return makeOnce(id, () => make({ id, limits, secrets: {}, labels: owner, spare: true }, setUp, signal));
    },
    specialise,
    async list() {
      const found: Instance[] = [];
      for (const id of await listInstanceDirs(runDir)) {
        const instance = find(id);
        if (instance) {
          found.push(instance.describe());
        } else if (!creating.has(id)) {
          await removeAbandoned(runDir, id, logger);
        }
      }
      return found;
    },
    async stop(id, { graceMs }) {
      const running = stopping.get(id) ?? end(id, graceMs).finally(() => stopping.delete(id));
      stopping.set(id, running);
      await running;
    },
    release(id) {
      known.get(id)?.release();
      known.delete(id);
      adopted.delete(id);
    },
    freeze: async (id) => require(id).setFrozen(true),
    thaw: async (id) => require(id).setFrozen(false),
    async *logs(id, logOptions) {
      yield* find(id)?.output.read(logOptions) ?? [];
    },
    stats: async (id) => require(id).stats(),
    events: (signal) => events.subscribe(signal),
    async [Symbol.asyncDispose]() {
      // The processes go on: the next server takes them over.
      clearInterval(checks);
      events.close();
      for (const instance of known.values()) instance.release();
    },
  };
}

/** The code of an instance that this engine can run. */
function codeOf({ source, network }: InstanceSpec): CodeSource {
  if (source.kind === 'image') throw unsupportedImage(source.image);
  if (network === 'none') throw unsupportedNetwork();
  return source;
}

/** The platform's own variables; they come last, because the runtime could not start if a function replaced them. */
function platformEnv(dir: InstanceDir, source: CodeSource): Readonly<Record<string, string>> {
  return { EBB_SOCKET: dir.socketPath, EBB_CODE_DIR: source.codeDir, EBB_SECRETS_DIR: dir.secretsDir };
}

function toEngineError(id: string, error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted || error instanceof EbbError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new EbbError('ENGINE_FAILED', `the instance "${id}" cannot be set up: ${reason}`, { cause: error });
}

function noSpare(id: string): EbbError {
  return new EbbError('ENGINE_FAILED', `there is no running spare "${id}"`);
}

function unsupportedNetwork(): EbbError {
  return new EbbError(
    'UNSUPPORTED_BY_ENGINE',
    '"network" is "none" but the process engine cannot keep a function from the network; use the docker engine',
  );
}

function pickLabels({ labels }: InstanceSpec): InstanceState['labels'] {
  const { installation, namespace, version, generation } = labels;
  return { installation, namespace, function: labels.function, version, generation };
}

/** Finds the process of a create that was cut off between starting it and writing that down. */
function recover(state: InstanceState, dir: ReturnType<typeof instanceDirPaths>): InstanceState {
  const [pid] = processesWith(instanceMark(dir));
  const status = pid === undefined ? undefined : readProcess(pid);
  return pid === undefined || !status ? state : { ...state, process: { pid, startTicks: status.startTicks } };
}

async function removeAbandoned(runDir: string, id: string, logger: Logger): Promise<void> {
  const { root } = instanceDirPaths(runDir, id);
  if (readState(root) || ageOf(root) < ABANDONED_AFTER_MS) return;
  logger.info({ instance: id }, 'removing what is left of an instance whose start was cut off');
  await removeInstanceDir(runDir, id);
}

function unsupportedImage(image: string): EbbError {
  return new EbbError(
    'UNSUPPORTED_BY_ENGINE',
    `the image "${image}" cannot run on the process engine, which has no containers: start the server with the docker engine, or give the function a "runtime" and code`,
  );
}
