import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type Dockerode from 'dockerode';
import { EbbError } from '../../core/errors.ts';
import type { Instance, InstanceSpec } from '../engine.ts';
import { createInstanceDir, type InstanceDir } from '../instance-dir.ts';
import {
  buildContainerConfig,
  containerName,
  type ContainerInput,
  type HostFacts,
  type ImageFacts,
  type SpareDirs,
  tenantUid,
} from './build-host-config.ts';
import type { ContainerFreezer } from './container-freezer.ts';
import { type DockerClient, daemonWords, statusOf } from './docker-client.ts';
import { imageUid, isRoot } from './image-user.ts';
import type { PreparedNetwork, PreparedNetworks } from './prepared-networks.ts';
import { addressOf, createContainerReader, NO_HOST } from './read-container.ts';
import { fromDockerLabels } from './instance-labels.ts';
import { inspectContainer, removeOwn } from './stop-container.ts';
import { inspectImage, notFound } from './resolve-image.ts';
import { spareDirs } from './spare-driver.ts';
import { toExit } from './to-exit.ts';

/** What {@link createContainerDriver} needs. */
export interface ContainerDriverOptions {
  readonly client: DockerClient;
  readonly installation: string;
  readonly runDir: string;
  /** Makes sure the network of an instance is there, and gives its name. */
  readonly networkOf: (spec: InstanceSpec) => Promise<string>;
  readonly runtime: { readonly directory: string; readonly entry: string };
  /** What instances share, made at the first call. */
  readonly prepared: (signal?: AbortSignal) => Promise<{ readonly host: HostFacts; readonly runtimeImage: ImageFacts }>;
  /** Removes the directory of an instance, with what is mounted in it. */
  readonly removeDir: (id: string) => Promise<void>;
  /** Has what instances share made again, since some of it is gone. */
  readonly forgetPrepared: () => void;
  readonly preparedNetworks: Pick<PreparedNetworks, 'want' | 'take' | 'discard' | 'stock' | 'reap'>;
  readonly freezer: Pick<ContainerFreezer, 'born' | 'isFrozen'>;
}

/** Makes and finds the containers of an installation. */
export interface ContainerDriver {
  /** Whether instances are being made. */
  readonly isBusy: boolean;
  create(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance>;
  /** Makes and starts the container of a spare; the spec's code is the directory that code is mounted on later. */
  createSpare(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance>;
  list(): Promise<readonly Instance[]>;
}

/** What else is known about a container that is made. */
interface CreateHow {
  readonly isSpare: boolean;
  readonly preparedNetwork?: PreparedNetwork | undefined;
}

/**
 * The part of the engine that turns instances into containers and back. Names and labels are known before a container
 * exists, so one whose creation was denied is still found (case 6).
 */
export function createContainerDriver(options: ContainerDriverOptions): ContainerDriver {
  const { client, installation, runDir, preparedNetworks } = options;
  const { docker, deadlines } = client;
  const creating = new Map<string, Promise<Instance>>();
  const reader = createContainerReader(options);

  async function create(spec: InstanceSpec, isSpare: boolean, signal?: AbortSignal): Promise<Instance> {
    const preparedNetwork = takeNetwork(spec);
    try {
      return await createOnce(spec, { isSpare, preparedNetwork }, signal);
    } catch (error) {
      if (preparedNetwork) {
        await preparedNetworks.discard(preparedNetwork.holder);
        // Its holder may have been removed by somebody; without it there is nothing but the daemon to depend on.
        const isRefusal = error instanceof EbbError && error.code === 'ENGINE_FAILED' && statusOf(error) !== undefined;
        if (isRefusal && !isMissingImage(error) && !signal?.aborted) return createOnce(spec, { isSpare }, signal);
      }
      const isSharedGone = isMissingNetwork(error) || (spec.source.kind === 'code' && isMissingImage(error));
      if (!isSharedGone) throw error;
      // Somebody pruned what instances share.
      options.forgetPrepared();
      return createOnce(spec, { isSpare }, signal);
    }
  }

  /** Managed runtimes have pools to hide a start behind; what cannot reach out has a network of its own. */
  function takeNetwork({ source, network }: InstanceSpec): PreparedNetwork | undefined {
    if (source.kind === 'code' || network === 'none') return undefined;
    preparedNetworks.want();
    return preparedNetworks.take();
  }

  async function createOnce(asked: InstanceSpec, how: CreateHow, signal?: AbortSignal): Promise<Instance> {
    const { isSpare, preparedNetwork } = how;
    const shared = await options.prepared(signal);
    const image = asked.source.kind === 'code' ? shared.runtimeImage : await presentImage(asked.source, signal);
    const spec = withUser(asked, image);
    const network = await options.networkOf(spec);
    const container = docker.getContainer(containerName(installation, spec.id));
    const dir = await claimDirectory(spec, container);
    if ('state' in dir) return dir;
    try {
      const { runtime } = options;
      const createdAt = Date.now();
      // Steps are finished before an abort counts: a request that was cut off could still make a container later.
      const input = {
        spec,
        image,
        host: shared.host,
        dir,
        network,
        runtime,
        createdAt,
        preparedNetwork,
        spare: isSpare ? await makeSpareDirs(dir) : undefined,
      };
      await createContainer(input, container);
      signal?.throwIfAborted();
      if (spec.user === 'image' && spec.source.kind === 'image') {
        await giveSecretsTo(dir, spec, await imageUid(client, container, spec.source.image, image.user));
      }
      await startContainer(spec, container);
      signal?.throwIfAborted();
      options.freezer.born(spec.id);
      const started = await toStarted(spec, container, createdAt, dir, preparedNetwork?.address);
      return isSpare ? { ...started, spare: true } : started;
    } catch (error) {
      // A daemon that does not answer keeps the container; the labels lead to it later.
      await removeOwn({ client, container, installation }).catch(() => {});
      await options.removeDir(spec.id).catch(() => {});
      throw error;
    }
  }

  /** Makes the instance's directory; one that is there belongs to a living instance, or to rests of a dead one. */
  async function claimDirectory(spec: InstanceSpec, container: Dockerode.Container): Promise<InstanceDir | Instance> {
    const wanted = { runDir, id: spec.id, secrets: spec.secrets, ownerUid: tenantUid(spec.tenant) };
    try {
      return await createInstanceDir(wanted);
    } catch (error) {
      if (!isExists(error)) throw error;
    }
    const info = await inspectContainer(client, container);
    const labelled = info && fromDockerLabels(info.Config.Labels, installation);
    if (info?.State.Running && labelled) {
      const isFrozen = info.State.Paused || (await options.freezer.isFrozen(spec.id));
      return reader.toInstance(labelled, isFrozen ? 'frozen' : 'running', addressOf(info.NetworkSettings.Networks));
    }
    if (labelled) await removeOwn({ client, container, installation });
    await options.removeDir(spec.id);
    return createInstanceDir(wanted);
  }

  async function createContainer(input: ContainerInput, container: Dockerode.Container) {
    const { id } = input.spec;
    const ask = () =>
      client.call(`create the container of "${id}"`, deadlines.changeMs, (abortSignal) =>
        docker.createContainer({ ...buildContainerConfig(input), abortSignal }),
      );
    try {
      await ask();
    } catch (error) {
      if (isMissingImage(error) || statusOf(error) === 400) throw error;
      const info = await inspectContainer(client, container);
      if (!info) throw error;
      if (info.Config.Labels['ebb.created-at'] === String(input.createdAt)) return;
      // The name is taken by rests of an earlier attempt: this installation alone uses it.
      if (!fromDockerLabels(info.Config.Labels, installation)) throw error;
      await removeOwn({ client, container, installation });
      await ask();
    }
  }

  async function startContainer(spec: InstanceSpec, container: Dockerode.Container) {
    try {
      await client.call(`start the container of "${spec.id}"`, deadlines.startMs, (abortSignal) =>
        container.start({ abortSignal }),
      );
    } catch (error) {
      const status = statusOf(error);
      if (status === 304) return;
      const info = await inspectContainer(client, container);
      if (info?.State.Running) return;
      // The daemon blames the caller when the command does not exist in the image.
      if (status === 400 && spec.source.kind === 'image') {
        throw new EbbError('START_FAILED', `the image "${spec.source.image}" does not start: ${daemonWords(error)}`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  async function toStarted(
    spec: InstanceSpec,
    container: Dockerode.Container,
    createdAt: number,
    dir: InstanceDir,
    knownHost?: string,
  ): Promise<Instance> {
    const base = { id: spec.id, labels: spec.labels, state: 'running' as const, startedAt: createdAt };
    if (spec.source.kind === 'code') return { ...base, target: { kind: 'unix', path: dir.socketPath } };
    const info = knownHost === undefined ? await inspectContainer(client, container) : undefined;
    const host = knownHost ?? addressOf(info?.NetworkSettings.Networks ?? {});
    if (host !== undefined) return { ...base, target: { kind: 'tcp', host, port: spec.source.port } };
    if (info) {
      return {
        ...base,
        state: 'exited',
        exit: toExit(info.State.ExitCode, info.State.OOMKilled),
        target: { kind: 'tcp', host: NO_HOST, port: spec.source.port },
      };
    }
    throw new EbbError('ENGINE_FAILED', `the container of "${spec.id}" was removed while it started`);
  }

  async function presentImage(source: { readonly image: string; readonly digest?: string }, signal?: AbortSignal) {
    const facts = await inspectImage(client, source.digest ?? source.image, signal);
    if (!facts) throw notFound(source.image, 'it was removed after the deploy; deploy the function again');
    return facts;
  }

  function createShared(spec: InstanceSpec, isSpare: boolean, signal?: AbortSignal): Promise<Instance> {
    const running = creating.get(spec.id) ?? create(spec, isSpare, signal).finally(() => creating.delete(spec.id));
    creating.set(spec.id, running);
    return running;
  }

  return {
    get isBusy() {
      return creating.size > 0;
    },
    create: (spec, signal) => createShared(spec, false, signal),
    createSpare: (spec, signal) => createShared(spec, true, signal),
    async list() {
      const stock = preparedNetworks.stock();
      const containers = await reader.containers();
      await preparedNetworks.reap(containers, stock);
      // What is being made is not there yet; it must not be taken for a rest of a crash.
      const instances = await Promise.all(containers.map((info) => reader.read(info, (id) => creating.has(id))));
      return instances.filter((instance) => instance !== undefined);
    },
  };
}

/** The spec with the user settled whose choice depends on the image. */
function withUser(spec: InstanceSpec, image: ImageFacts): InstanceSpec {
  if (spec.user !== 'image-unless-root') return spec;
  return { ...spec, user: isRoot(image.user) ? 'tenant' : 'image' };
}

/** Makes the directories that code is mounted on later, so that they are there when the container starts. */
async function makeSpareDirs(dir: InstanceDir): Promise<SpareDirs> {
  const dirs = spareDirs(dir);
  await Promise.all([mkdir(dirs.codeDir), mkdir(dirs.compiledDir)]);
  await Promise.all([chmod(dirs.codeDir, 0o755), chmod(dirs.compiledDir, 0o755)]);
  return dirs;
}

/** Secrets belong to the namespace's user until the image's own is known; only root can give files away. */
async function giveSecretsTo(dir: InstanceDir, spec: InstanceSpec, uid: number): Promise<void> {
  if (process.getuid?.() !== 0) return;
  await Promise.all(Object.keys(spec.secrets).map((name) => chown(join(dir.secretsDir, name), uid, uid)));
}

function isMissingImage(error: unknown): boolean {
  return statusOf(error) === 404 && /no such image/i.test(daemonWords(error));
}

function isMissingNetwork(error: unknown): boolean {
  return statusOf(error) === 404 && /network .* not found/i.test(daemonWords(error));
}

function isExists(error: unknown): boolean {
  const cause = error instanceof EbbError ? error.cause : error;
  return cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
}
