import { join } from 'node:path';
import type { Logger } from '../../core/logger.ts';
import { EbbError } from '../../core/errors.ts';
import { rejectOnAbort } from '../../core/reject-on-abort.ts';
import type { Engine, EngineLogLine, Instance, InstanceSpec } from '../engine.ts';
import { instanceDirPaths, removeInstanceDir } from '../instance-dir.ts';
import { createCompiledStore } from './compiled-store.ts';
import { containerName, type HostFacts, type ImageFacts } from './build-host-config.ts';
import { createContainerDriver } from './container-driver.ts';
import { createContainerFreezer } from './container-freezer.ts';
import { ask, askStream } from './dial.ts';
import { createDockerClient, type DockerDeadlines, statusOf } from './docker-client.ts';
import { watchEvents } from './events.ts';
import { applyFirewall, removeFirewall, sweepFirewalls } from './firewall.ts';
import { ensureHolderImage } from './holder-image.ts';
import { awaitInnerServer } from './inner-server.ts';
import { readLogLines } from './logs.ts';
import { ensureNetwork, instanceNetwork, type InstanceNetwork, removeNetwork } from './network.ts';
import { type DaemonInfo, probeDocker } from './probe.ts';
import { createPreparedNetworks } from './prepared-networks.ts';
import { createMountTable, mountPoints } from './mount-table.ts';
import { obtainImage } from './resolve-image.ts';
import { ensureRuntimeImage } from './runtime-image.ts';
import { createSpareDriver } from './spare-driver.ts';
import { createDaemonSessions } from './daemon-session.ts';
import { createTaskDriver } from './task-driver.ts';
import { createTaskNetworks } from './task-networks.ts';
import { type DockerStats, toInstanceStats } from './stats.ts';
import { inspectContainer, stopContainer } from './stop-container.ts';

/** What the Docker engine is made from. */
export interface DockerEngineOptions {
  /** Id of the data directory's installation; containers of another are never touched. `[a-z0-9][a-z0-9-]*`. */
  readonly installation: string;
  /** Absolute directory of instance directories, visible to the daemon under the same path. */
  readonly runDir: string;
  readonly dataDir: string;
  /** The server that managed instances run: a directory and the script in it to start. */
  readonly runtime: { readonly directory: string; readonly entry: string };
  /** Image for managed instances, with Node at `/usr/local/bin/node`; made from this process's Node unless given. */
  readonly runtimeImage?: string;
  readonly socketPath?: string;
  readonly deadlines?: Partial<DockerDeadlines>;
  /** `cgroup`, where the host allows it, or always through the daemon. Default: `cgroup`. */
  readonly freezeBy?: 'cgroup' | 'engine';
  /** Network namespaces kept ready for instances of images. Default: none. */
  readonly preparedNetworks?: number;
  readonly logger: Logger;
}

/** What instances share once it is prepared. */
interface Prepared {
  readonly host: HostFacts;
  readonly runtimeImage: ImageFacts;
  /** Processor of the daemon's host, as it calls it. */
  readonly architecture: string;
}

/**
 * The engine that runs each instance in a hardened Docker container. The daemon is the only memory: instances are
 * found by labels, so a restarted server sees what the last one left.
 */
export function createDockerEngine(options: DockerEngineOptions): Engine {
  const { installation, runDir, logger, freezeBy = 'cgroup' } = options;
  const socketPath = options.socketPath ?? '/var/run/docker.sock';
  const client = createDockerClient({ socketPath, ...(options.deadlines ? { deadlines: options.deadlines } : {}) });
  const { docker, deadlines } = client;
  const open = instanceNetwork(installation, 'open');
  const closed = instanceNetwork(installation, 'closed');
  const containerOf = (id: string) => docker.getContainer(containerName(installation, id));
  const freezer = createContainerFreezer({ client, containerOf, freezeBy });
  const mounts = createMountTable({ runDir });
  const removeDir = async (id: string) => {
    await mounts.detach(instanceDirPaths(runDir, id).root);
    await removeInstanceDir(runDir, id);
  };
  const stopping = new Map<string, Promise<void>>();
  let preparing: Promise<Prepared> | undefined;
  let preparingClosed: Promise<void> | undefined;

  const ensureFirewall = async (network: InstanceNetwork) => {
    const state = await applyFirewall(network);
    if (state.kind === 'absent') {
      logger.warn(
        { network: network.network, reason: state.reason },
        'functions can reach the host and private addresses: the packet rules of their network could not be set; "ebb doctor" says what to do',
      );
    }
  };

  async function prepareNow(): Promise<Prepared> {
    const [info, runtimeImage] = await Promise.all([
      client.call('say how it is', deadlines.queryMs, (abortSignal) => ask<DaemonInfo>(docker, '/info', abortSignal)),
      ensureRuntimeImage({
        client,
        dataDir: options.dataDir,
        ...(options.runtimeImage === undefined ? {} : { runtimeImage: options.runtimeImage }),
      }).then((name) => obtainImage(client, name)),
      ensureNetwork(client, open).then(() => ensureFirewall(open)),
      sweepFirewalls(),
    ]);
    await sweepMounts();
    return { host: toHostFacts(info), runtimeImage, architecture: info.Architecture ?? '' };
  }

  /** Takes away what is mounted for instances whose containers are gone, as after a reset of the daemon (E1). */
  async function sweepMounts(): Promise<void> {
    const parent = `${join(runDir, 'i')}/`;
    const mounted = (await mountPoints()).filter((path) => path.startsWith(parent));
    for (const id of new Set(mounted.map((path) => path.slice(parent.length).split('/', 1)[0] ?? ''))) {
      if (await inspectContainer(client, containerOf(id))) continue;
      await removeDir(id).catch((error: unknown) => {
        logger.warn({ instance: id, err: error }, 'what was mounted for an instance that is gone could not be removed');
      });
    }
  }

  /** Shared by all callers, so one that no longer waits must not end it for the others. */
  function prepared(signal?: AbortSignal): Promise<Prepared> {
    preparing ??= prepareNow().catch((error: unknown) => {
      // The next call tries again.
      preparing = undefined;
      throw error;
    });
    return signal ? Promise.race([preparing, rejectOnAbort(signal)]) : preparing;
  }

  async function networkOf(spec: InstanceSpec): Promise<string> {
    if (spec.source.kind === 'code' || spec.network === 'egress') return open.network;
    // Few functions need it, and each bridge takes a range of the daemon's addresses.
    preparingClosed ??= ensureNetwork(client, closed).then(() => ensureFirewall(closed));
    await preparingClosed.catch((error: unknown) => {
      preparingClosed = undefined;
      throw error;
    });
    return closed.network;
  }

  const preparedNetworks = createPreparedNetworks({
    client,
    installation,
    logger,
    size: options.preparedNetworks ?? 0,
    prepared: async () => {
      const { architecture } = await prepared();
      const image = await ensureHolderImage(client, architecture);
      return image === undefined ? undefined : { network: open.network, image };
    },
    isBusy: () => driver.isBusy,
  });
  const driver = createContainerDriver({
    client,
    installation,
    runDir,
    networkOf,
    runtime: options.runtime,
    removeDir,
    prepared,
    freezer,
    preparedNetworks,
    forgetPrepared: () => {
      preparing = undefined;
      preparingClosed = undefined;
    },
  });

  const spares = createSpareDriver({
    client,
    installation,
    runDir,
    mounts,
    compiled: createCompiledStore(join(options.dataDir, 'compiled')),
    create: (spec, signal) => driver.createSpare(spec, signal),
    facts: async () => {
      const { host, runtimeImage } = await prepared();
      return { runtimeImage: runtimeImage.id, writesCgroups: host.writesCgroups, cpus: host.cpus };
    },
  });

  const sessions = createDaemonSessions(client, socketPath);
  const tasks = createTaskDriver({
    client,
    sessions,
    installation,
    runDir,
    prepared,
    network: open.network,
    networks: createTaskNetworks(preparedNetworks),
    removeDir,
    forgetPrepared: () => {
      preparing = undefined;
    },
  });

  async function* logs(
    id: string,
    wanted: { readonly follow: boolean; readonly sinceMs?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<EngineLogLine> {
    const left = new AbortController();
    const signal = wanted.signal ? AbortSignal.any([wanted.signal, left.signal]) : left.signal;
    const query = {
      stdout: true,
      stderr: true,
      timestamps: true,
      follow: wanted.follow,
      ...(wanted.sinceMs === undefined ? {} : { since: (wanted.sinceMs / 1000).toFixed(3) }),
    };
    try {
      const path = `/containers/${containerName(installation, id)}/logs`;
      // The stream outlives the call that opens it, so it gets the outer signal.
      const openLog = () => askStream(docker, path, signal, query);
      const stream = await client.call(`read the log of "${id}"`, deadlines.queryMs, openLog, signal);
      yield* readLogLines(stream);
    } catch (error) {
      if (wanted.signal?.aborted || statusOf(error) === 404) return;
      throw error instanceof EbbError
        ? error
        : new EbbError('ENGINE_FAILED', `the log of "${id}" broke off`, { cause: error });
    } finally {
      left.abort();
    }
  }

  return {
    name: 'docker',
    capabilities: {
      images: true,
      runtimes: ['node'],
      isolation: 'container',
      freeze: true,
      limits: true,
      spares: true,
    },
    probe: (signal) =>
      probeDocker({
        client,
        network: open,
        dataDir: options.dataDir,
        freezeBy,
        sparesLack: () => mounts.foresee(),
        ...(signal ? { signal } : {}),
      }),
    prepare: async (signal) => void (await prepared(signal)),
    async resolveImage(image, signal) {
      // An image is being deployed, so one will be started.
      preparedNetworks.want();
      return (await obtainImage(client, image, signal)).id;
    },
    create: (spec: InstanceSpec, signal?: AbortSignal): Promise<Instance> => driver.create(spec, signal),
    createSpare: (spec, signal) => spares.create(spec, signal),
    specialise: (spec, signal) => spares.specialise(spec, signal),
    list: () => driver.list(),
    stop(id, { graceMs }) {
      const stop = async () => {
        spares.forget(id);
        using _held = await freezer.hold(id);
        const holder = await stopContainer({ client, container: containerOf(id), installation }, graceMs);
        await Promise.all([removeDir(id), holder && preparedNetworks.discard(holder)]);
      };
      const running = stopping.get(id) ?? stop().finally(() => stopping.delete(id));
      stopping.set(id, running);
      return running;
    },
    async awaitInner(id, signal) {
      const info = await inspectContainer(client, containerOf(id));
      if (info) await awaitInnerServer({ id: info.Id, pid: info.State.Pid, env: info.Config.Env }, signal);
    },
    // The daemon is the memory; what was mounted stays mounted.
    release: (id) => spares.forget(id),
    freeze: (id) => freezer.freeze(id),
    thaw: (id) => freezer.thaw(id),
    logs,
    stats: async (id) =>
      toInstanceStats(
        await client.call(`measure "${id}"`, deadlines.queryMs, (abortSignal) =>
          ask<DockerStats>(docker, `/containers/${containerName(installation, id)}/stats`, abortSignal, {
            stream: false,
            'one-shot': true,
          }),
        ),
      ),
    events: (signal) =>
      watchEvents({
        client,
        installation,
        signal,
        sinceMs: Date.now(),
        onReconnect: async () => {
          await ensureFirewall(open);
          if (preparingClosed) await ensureFirewall(closed);
        },
      }),
    tasks,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(stopping.values());
      await tasks[Symbol.asyncDispose]();
      sessions[Symbol.dispose]();
      await preparedNetworks[Symbol.asyncDispose]();
      await mounts.close().catch(() => {});
      for (const network of [open, closed]) {
        // Instances that live on keep their network, and their rules with it.
        if (await removeNetwork(client, network).catch(() => false)) await removeFirewall(network);
      }
    },
  };
}

function toHostFacts(info: DaemonInfo): HostFacts {
  return {
    cpus: info.NCPU ?? 1,
    cgroupVersion: info.CgroupVersion === '2' ? 2 : 1,
    writesCgroups: info.CgroupDriver === 'cgroupfs',
    appArmor: info.SecurityOptions?.some((option) => option.includes('apparmor')) ?? false,
  };
}
