import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EbbError } from '../../core/errors.ts';
import type { CodeSource, Instance, InstanceLimits, InstanceSpec, SpareSpec } from '../engine.ts';
import { type InstanceDir, instanceDirPaths, writeSecrets } from '../instance-dir.ts';
import { sendSpecialise, type SpecialiseMessage } from '../send-specialise.ts';
import {
  CODE_PATH,
  codeEnvironment,
  COMPILED_PATH,
  containerName,
  MIN_MEMORY_BYTES,
  type SpareDirs,
  spareUid,
} from './build-host-config.ts';
import { applyLimits, type ContainerCgroup, findCgroup } from './cgroup-limits.ts';
import { compiledKey, type CompiledStore } from './compiled-store.ts';
import { daemonWords, type DockerClient } from './docker-client.ts';
import { writeIdentity } from './identity.ts';
import type { MountTable } from './mount-table.ts';
import { inspectContainer } from './stop-container.ts';

/** Where the first instance of a version collects what it compiles, in its own memory. */
const OWN_COMPILED_PATH = '/tmp/.ebb-compiled';

/** What {@link createSpareDriver} needs. */
export interface SpareDriverOptions {
  readonly client: DockerClient;
  readonly installation: string;
  readonly runDir: string;
  readonly mounts: MountTable;
  readonly compiled: CompiledStore;
  /** Makes and starts the container of a spare. */
  readonly create: (spec: InstanceSpec, signal?: AbortSignal) => Promise<Instance>;
  /** What instances share and how the host is. */
  readonly facts: () => Promise<{
    readonly runtimeImage: string;
    readonly writesCgroups: boolean;
    readonly cpus: number;
  }>;
}

/** Makes containers without code, and instances of versions out of them. */
export interface SpareDriver {
  create(spec: SpareSpec, signal?: AbortSignal): Promise<Instance>;
  specialise(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance>;
  /** Forgets a spare that is being stopped. */
  forget(id: string): void;
}

interface Spare {
  readonly limits: InstanceLimits;
  /** Absent where limits have to be changed by the engine. */
  readonly cgroup?: ContainerCgroup;
}

/** Directories of a spare that code is mounted on. */
export function spareDirs(dir: InstanceDir): SpareDirs {
  return { codeDir: join(dir.root, 'code'), compiledDir: join(dir.root, 'compiled') };
}

/** The part of the engine that keeps instances ready before it is known whose they will be. */
export function createSpareDriver(options: SpareDriverOptions): SpareDriver {
  const { client, installation, runDir, mounts, compiled } = options;
  const spares = new Map<string, Spare>();
  const containerOf = (id: string) => client.docker.getContainer(containerName(installation, id));

  async function cgroupOf(id: string): Promise<ContainerCgroup | undefined> {
    if (!(await options.facts()).writesCgroups) return undefined;
    const pid = (await inspectContainer(client, containerOf(id)))?.State.Pid ?? 0;
    return pid > 0 ? findCgroup(pid) : undefined;
  }

  async function limit(id: string, spare: Spare, to: InstanceLimits): Promise<void> {
    const { cpus } = await options.facts();
    const clamp = (limits: InstanceLimits) => ({
      ...limits,
      memoryBytes: Math.max(limits.memoryBytes, MIN_MEMORY_BYTES),
      cpuCores: Math.min(Math.max(limits.cpuCores, 0.01), cpus),
    });
    const [before, after] = [clamp(spare.limits), clamp(to)];
    const isSame =
      before.memoryBytes === after.memoryBytes && before.cpuCores === after.cpuCores && before.pids === after.pids;
    if (isSame) return;
    if (spare.cgroup) {
      const isDone = await applyLimits(spare.cgroup, before, after).then(
        () => true,
        () => false,
      );
      if (isDone) return;
    }
    await client.call(`set the limits of "${id}"`, client.deadlines.changeMs, (abortSignal) =>
      containerOf(id).update({
        Memory: after.memoryBytes,
        MemorySwap: after.memoryBytes,
        CpuPeriod: 0,
        CpuQuota: 0,
        NanoCpus: Math.round(after.cpuCores * 1e9),
        PidsLimit: after.pids,
        abortSignal,
      }),
    );
  }

  /** Shows the instance what earlier ones compiled, or says where it is to collect what it compiles. */
  async function giveCompiled(
    key: string,
    spec: InstanceSpec,
    dirs: SpareDirs,
  ): Promise<Pick<SpecialiseMessage, 'compileCache' | 'sendCompiled'>> {
    const found = await compiled.find(key);
    if (!found) return compiled.claim(key) ? { compileCache: OWN_COMPILED_PATH, sendCompiled: true } : {};
    try {
      const target = join(dirs.compiledDir, `${found.name}-${spareUid(spec.id)}`);
      await mkdir(target);
      await mounts.attach(found.directory, target, 'second');
      return { compileCache: COMPILED_PATH };
    } catch {
      // It was removed in between, for instance; the start is slower, nothing more.
      return {};
    }
  }

  async function give(spec: InstanceSpec & { readonly source: CodeSource }, spare: Spare, signal?: AbortSignal) {
    const { id, labels, source } = spec;
    const dir = instanceDirPaths(runDir, id);
    const dirs = spareDirs(dir);
    const key = compiledKey([
      (await options.facts()).runtimeImage,
      labels.namespace,
      labels.function,
      String(labels.version),
      source.codeDir,
    ]);
    // What it becomes is written before it can be anything else than a spare.
    await writeIdentity(dir.root, labels);
    const [cache, { ino }] = await Promise.all([
      giveCompiled(key, spec, dirs),
      stat(source.codeDir, { bigint: true }),
      mounts.attach(source.codeDir, dirs.codeDir),
      writeSecrets(dir, spec.secrets, spareUid(id)),
      limit(id, spare, spec.limits),
    ]);
    signal?.throwIfAborted();
    const answer = await sendSpecialise(
      dir.socketPath,
      { env: codeEnvironment(spec.env), workDir: CODE_PATH, workDirInode: ino.toString(), ...cache },
      signal,
    );
    if (cache.sendCompiled) void compiled.receive(key, answer);
    else answer.destroy();
  }

  return {
    async create(spec, signal) {
      const lack = await mounts.open();
      if (lack !== undefined) {
        throw new EbbError('UNSUPPORTED_BY_ENGINE', cannotKeep(lack));
      }
      const instance = await options
        .create(toInstanceSpec(spec, installation, runDir), signal)
        .catch((error: unknown) => {
          // A daemon that does not see this server's mounts would never see code that is mounted later.
          if (/shared or slave|bind source path/i.test(daemonWords(error))) {
            mounts.deny('the daemon does not see what this server mounts');
            throw new EbbError('UNSUPPORTED_BY_ENGINE', cannotKeep(daemonWords(error)), { cause: error });
          }
          throw error;
        });
      const cgroup = await cgroupOf(spec.id).catch(() => undefined);
      spares.set(spec.id, { limits: spec.limits, ...(cgroup === undefined ? {} : { cgroup }) });
      return instance;
    },
    async specialise(spec, signal) {
      const { source } = spec;
      const spare = spares.get(spec.id);
      spares.delete(spec.id);
      if (!spare || source.kind === 'image') {
        throw new EbbError('ENGINE_FAILED', `there is no running spare "${spec.id}"`);
      }
      try {
        await give({ ...spec, source }, spare, signal);
      } catch (error) {
        // The next spare is refused with this reason, and no more are made.
        if (error instanceof EbbError && error.code === 'UNSUPPORTED_BY_ENGINE') mounts.deny(error.message);
        if (signal?.aborted || error instanceof EbbError) throw error;
        const reason = error instanceof Error ? error.message : String(error);
        throw new EbbError('ENGINE_FAILED', `the spare "${spec.id}" cannot be given code: ${reason}`, { cause: error });
      }
      const target = { kind: 'unix' as const, path: instanceDirPaths(runDir, spec.id).socketPath };
      return { id: spec.id, labels: spec.labels, target, state: 'running', startedAt: Date.now() };
    },
    forget: (id) => void spares.delete(id),
  };
}

function cannotKeep(reason: string): string {
  return `instances cannot be kept ready without code: ${reason}`;
}

/** A spare in the words of an instance: its code is the directory that code is mounted on later. */
function toInstanceSpec(spec: SpareSpec, installation: string, runDir: string): InstanceSpec {
  const { id, limits, network, readOnlyRootFilesystem } = spec;
  const { codeDir } = spareDirs(instanceDirPaths(runDir, id));
  return {
    id,
    labels: { installation, namespace: '', function: '', version: 0, generation: spec.labels.generation },
    source: { kind: 'code', runtime: spec.runtime, codeDir },
    env: {},
    secrets: {},
    limits,
    tenant: 0,
    user: 'tenant',
    network,
    readOnlyRootFilesystem,
  };
}
