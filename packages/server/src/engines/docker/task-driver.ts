import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { EbbError } from '../../core/errors.ts';
import type { FoundTask, InstanceExit, TaskIo, TaskRuns, TaskSpec } from '../engine.ts';
import { createInstanceDir, instanceDirPaths } from '../instance-dir.ts';
import { containerName, type HostFacts, type ImageFacts, tenantUid } from './build-host-config.ts';
import { buildTaskConfig, readTaskLabels, taskFilter } from './build-task-config.ts';
import type { DaemonSession, DaemonSessions } from './daemon-session.ts';
import { askStream } from './dial.ts';
import { type DockerClient, daemonWords, statusOf } from './docker-client.ts';
import { imageUid } from './image-user.ts';
import { readFrames } from './logs.ts';
import { mayBeLost } from './may-be-lost.ts';
import type { PreparedNetwork } from './prepared-networks.ts';
import { inspectImage, notFound } from './resolve-image.ts';
import { hasEnded, inspectContainer, removeOwn, stopContainer, tolerate } from './stop-container.ts';
import type { TaskNetworks } from './task-networks.ts';
import { toExit } from './to-exit.ts';

/** The longest a timer can be set for: a task may run for weeks. */
const FOR_EVER_MS = 2 ** 31 - 1;
/** What a task wrote last arrives this long after its end at the latest. */
const LAST_WORDS_MS = 5_000;
/** Removals of ended containers under way; with more, the tasks after them wait. */
const MOST_REMOVALS = 16;

/** What {@link createTaskDriver} needs. */
export interface TaskDriverOptions {
  readonly client: DockerClient;
  readonly sessions: Pick<DaemonSessions, 'current'>;
  readonly installation: string;
  readonly runDir: string;
  /** What containers share, made at the first call. */
  readonly prepared: (signal?: AbortSignal) => Promise<{ readonly host: HostFacts }>;
  /** The network that leads to public addresses. */
  readonly network: string;
  readonly networks: TaskNetworks;
  readonly removeDir: (id: string) => Promise<void>;
  /** Has what containers share made again, since some of it is gone. */
  readonly forgetPrepared: () => void;
}

/** Tasks on Docker, until it is disposed. */
export type TaskDriver = TaskRuns & AsyncDisposable;

/**
 * Runs containers to their end with four calls of the daemon each (create, attach, start, wait) and none in between;
 * what has ended is removed beside what comes next. The daemon's labels are the only memory.
 */
export function createTaskDriver(options: TaskDriverOptions): TaskDriver {
  const { client, sessions, installation, runDir, networks } = options;
  const { docker, deadlines } = client;
  const containerOf = (id: string) => docker.getContainer(containerName(installation, id));
  const removals = new Set<Promise<void>>();
  const images = new Map<string, ImageFacts>();

  async function factsOf({ image, digest }: TaskSpec['source'], signal: AbortSignal): Promise<ImageFacts> {
    // What an id stands for never changes, and a job asks for it with every task.
    const known = digest === undefined ? undefined : images.get(digest);
    if (known) return known;
    const facts = await inspectImage(client, digest ?? image, signal);
    if (!facts) throw notFound(image, 'it was removed after the job was submitted');
    if (images.size >= 100) images.clear();
    images.set(facts.id, facts);
    return facts;
  }

  async function make(spec: TaskSpec, preparedNetwork: PreparedNetwork | undefined, signal: AbortSignal) {
    const { host } = await options.prepared(signal);
    const image = await factsOf(spec.source, signal);
    const hasSecrets = Object.keys(spec.secrets).length > 0;
    const dir = hasSecrets
      ? await createInstanceDir({ runDir, id: spec.id, secrets: spec.secrets, ownerUid: tenantUid(spec.tenant) })
      : instanceDirPaths(runDir, spec.id);
    const container = containerOf(spec.id);
    const config = buildTaskConfig({ spec, image, host, dir, network: options.network, preparedNetwork });
    // Steps are finished before an abort counts: a request that was cut off could still make a container later.
    await client.call(`create the container of "${spec.id}"`, deadlines.changeMs, (abortSignal) =>
      docker.createContainer({ ...config, abortSignal }),
    );
    signal.throwIfAborted();
    if (spec.user === 'image') {
      const uid = await imageUid(client, container, spec.source.image, image.user);
      if (process.getuid?.() === 0) {
        await Promise.all(Object.keys(spec.secrets).map((name) => chown(join(dir.secretsDir, name), uid, uid)));
      }
    }
    return container;
  }

  async function start(spec: TaskSpec, container: Dockerode.Container): Promise<void> {
    try {
      await client.call(`start the container of "${spec.id}"`, deadlines.startMs, (abortSignal) =>
        container.start({ abortSignal }),
      );
    } catch (error) {
      if (statusOf(error) === 400) {
        throw new EbbError('START_FAILED', `the image "${spec.source.image}" does not start: ${daemonWords(error)}`, {
          cause: error,
        });
      }
      const info = statusOf(error) === undefined ? undefined : await inspectContainer(client, container);
      // The answer was lost, or it has run and ended meanwhile.
      if (info && (info.State.Running || info.State.FinishedAt > info.Created)) return;
      throw error;
    }
  }

  /** Opens the streams of a container that is not started yet. */
  function attach(container: Dockerode.Container, hasInput: boolean): Promise<Duplex> {
    return client.call('attach to a container', deadlines.queryMs, async (abortSignal) => {
      // The connection outlives the call, so the signal must not.
      const opened = container.attach({ stream: true, stdout: true, stderr: true, stdin: hasInput, hijack: true });
      const socket = opened as Promise<unknown> as Promise<Duplex>;
      abortSignal.addEventListener('abort', () => void socket.then((late) => late.destroy()).catch(() => {}));
      return socket;
    });
  }

  /** Waits for ever; the daemon begins its answer at once, so a broken connection must not pass for one that is silent. */
  async function waitFor(id: string, abortSignal: AbortSignal): Promise<unknown> {
    const query = { condition: 'not-running' };
    const stream = await askStream(docker, `/containers/${id}/wait`, abortSignal, query, 'POST');
    const text = Buffer.concat(await Array.fromAsync(stream)).toString();
    return JSON.parse(text);
  }

  /** Waits for the end of a container that was started, stopping it when `signal` aborts. */
  async function exitOf(
    container: Dockerode.Container,
    graceMs: number,
    leave: AbortSignal | undefined,
    signal: AbortSignal,
  ): Promise<InstanceExit> {
    const over = new AbortController();
    const stop = async () => {
      const kill = (name: 'SIGTERM' | 'SIGKILL') =>
        tolerate(
          [404, 409],
          client.call(`send ${name} to a container`, deadlines.changeMs, (abortSignal) =>
            container.kill({ signal: name, abortSignal }),
          ),
        );
      if (graceMs > 0) await kill('SIGTERM');
      if (graceMs > 0 && (await hasEnded(client, container, graceMs))) return;
      await kill('SIGKILL');
    };
    const onAbort = () => void stop().catch((error: unknown) => over.abort(error));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      const { StatusCode: code } = (await client.call(
        'wait for the end of a container',
        FOR_EVER_MS,
        (abortSignal) => waitFor(container.id, abortSignal),
        leave ? AbortSignal.any([over.signal, leave]) : over.signal,
      )) as { readonly StatusCode: number };
      const info = code === 0 ? undefined : await inspectContainer(client, container).catch(() => undefined);
      return toExit(code, info?.State.OOMKilled ?? false);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Follows a container until it has ended and all its output was told. */
  async function follow(
    container: Dockerode.Container,
    stream: Readable,
    graceMs: number,
    io: TaskIo,
    session: DaemonSession,
    signal: AbortSignal,
  ): Promise<InstanceExit> {
    const broken = new AbortController();
    const told = tell(stream, io);
    // One whose output nobody takes any more would wait for ever.
    told.catch(() => broken.abort());
    const exit = await exitOf(container, graceMs, io.leave, AbortSignal.any([signal, broken.signal]));
    // What was not told to end may have been ended by a daemon that shuts down, whatever its exit code.
    const isOwnEnd = signal.aborted || session.goesOn();
    const late = setTimeout(() => stream.destroy(), LAST_WORDS_MS);
    try {
      await told;
    } catch (cause) {
      throw new EbbError('ENGINE_FAILED', 'the output of a task broke off', { cause });
    } finally {
      clearTimeout(late);
    }
    if (!(await isOwnEnd))
      throw new EbbError('ENGINE_UNAVAILABLE', 'the Docker daemon went away, and the task with it');
    return exit;
  }

  /** Removes what has ended, beside what comes next. */
  async function tidy(id: string, hasDir: boolean): Promise<void> {
    while (removals.size >= MOST_REMOVALS) await Promise.race(removals);
    const removing = removeNow(id, hasDir)
      // What stays is found by its labels.
      .catch(() => {})
      .finally(() => removals.delete(removing));
    removals.add(removing);
  }

  async function removeNow(id: string, hasDir: boolean): Promise<void> {
    await client.call('remove a container', deadlines.startMs, (abortSignal) =>
      containerOf(id).remove({ force: true, v: true, abortSignal }),
    );
    if (hasDir) await options.removeDir(id);
  }

  async function runIn(
    spec: TaskSpec,
    preparedNetwork: PreparedNetwork | undefined,
    io: TaskIo,
    signal: AbortSignal,
  ): Promise<InstanceExit> {
    const container = containerOf(spec.id);
    let stream: Duplex | undefined;
    let isStarted = false;
    try {
      const session = await sessions.current();
      await make(spec, preparedNetwork, signal);
      stream = await attach(container, spec.hasInput);
      signal.throwIfAborted();
      io.leave?.throwIfAborted();
      await start(spec, container);
      isStarted = true;
      void send(stream, spec.hasInput ? io.input : undefined).catch(() => {});
      return await follow(container, stream, spec.graceMs, io, session, signal);
    } catch (error) {
      if (!isStarted) {
        await removeOwn({ client, container, installation }).catch(() => {});
        await options.removeDir(spec.id).catch(() => {});
      }
      throw error;
    } finally {
      stream?.destroy();
    }
  }

  async function run(spec: TaskSpec, io: TaskIo, signal: AbortSignal): Promise<InstanceExit> {
    signal.throwIfAborted();
    const { group } = spec;
    const isNetworked = spec.network !== 'none' && group !== undefined;
    const network = isNetworked ? await networks.take(group) : undefined;
    let exit: InstanceExit;
    try {
      exit = await runIn(spec, network, io, signal);
      if (network && group !== undefined) networks.giveBack(group, network);
    } catch (error) {
      if (network && !io.leave?.aborted) networks.drop(network);
      const isRefusal = error instanceof EbbError && error.code === 'ENGINE_FAILED' && statusOf(error) !== undefined;
      const isGone = isRefusal && !(await inspectContainer(client, containerOf(spec.id)));
      if (!isGone || signal.aborted || io.leave?.aborted) throw error;
      // The namespace, the network or both were removed by somebody; nothing of the task has run.
      options.forgetPrepared();
      exit = await runIn(spec, undefined, io, signal);
    }
    await finish(spec.id, spec.cleanup, exit, Object.keys(spec.secrets).length > 0);
    return exit;
  }

  async function finish(id: string, cleanup: TaskSpec['cleanup'], exit: InstanceExit, hasDir: boolean): Promise<void> {
    if (cleanup === 'always' || (cleanup === 'on-success' && exit.code === 0)) await tidy(id, hasDir);
  }

  return {
    run,
    async join(found, { graceMs, cleanup }, io, signal) {
      const session = await sessions.current();
      const container = containerOf(found.id);
      const over = new AbortController();
      // Unlike an attached stream it has all from the beginning, and an end where the container has one already.
      const stream = (await client.call('read the output of a task', deadlines.queryMs, () =>
        askStream(docker, `/containers/${containerName(installation, found.id)}/logs`, over.signal, {
          stdout: true,
          stderr: true,
          follow: true,
        }),
      )) as AsyncIterable<Uint8Array> & Readable;
      try {
        const exit = await follow(container, stream, graceMs, io, session, signal);
        if (found.state === 'exited' && (await mayBeLost(client, containerName(installation, found.id), exit))) {
          throw new EbbError('ENGINE_UNAVAILABLE', 'it was ended while no server followed it');
        }
        await finish(found.id, cleanup, exit, true);
        return exit;
      } finally {
        over.abort();
      }
    },
    async list() {
      const containers = await client.call('list containers', deadlines.queryMs, (abortSignal) =>
        docker.listContainers({ all: true, filters: taskFilter(installation), abortSignal }),
      );
      return containers.flatMap(({ Labels, State }): FoundTask[] => {
        const read = readTaskLabels(Labels, installation);
        if (!read || State === 'removing') return [];
        const isRunning = State === 'running' || State === 'paused';
        return [{ ...read, state: isRunning ? 'running' : State === 'created' ? 'created' : 'exited' }];
      });
    },
    async stop(id, { graceMs }) {
      await stopContainer({ client, container: containerOf(id), installation }, graceMs);
      await options.removeDir(id);
    },
    endGroup: (group) => networks.end(group),
    async [Symbol.asyncDispose]() {
      await Promise.all(removals);
      await networks[Symbol.asyncDispose]();
    },
  };
}

/** Tells what a container writes, as fast as it is taken. */
async function tell(stream: Readable, io: TaskIo): Promise<void> {
  for await (const { source, payload } of readFrames(stream)) await io.onOutput(source, payload);
}

/** Sends a task its input, as fast as it reads, and ends it. */
async function send(stream: Duplex, input: TaskIo['input']): Promise<void> {
  if (input === undefined) return;
  // A task that ends without reading it all is free to do so.
  stream.on('error', () => {});
  if (input instanceof Uint8Array) {
    stream.end(input);
    return;
  }
  for await (const chunk of input) {
    if (stream.destroyed) return;
    if (!stream.write(chunk))
      await new Promise<void>((resolve) => {
        const go = () => {
          stream.off('drain', go).off('close', go);
          resolve();
        };
        stream.once('drain', go).once('close', go);
      });
  }
  stream.end();
}
