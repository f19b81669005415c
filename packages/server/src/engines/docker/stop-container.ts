import type Dockerode from 'dockerode';
import { EbbError } from '../../core/errors.ts';
import { findCgroupFreezer } from './cgroup-freezer.ts';
import { type DockerClient, statusOf } from './docker-client.ts';
import { HOLDER_LABEL, INSTALLATION_LABEL } from './instance-labels.ts';

/** A container of an installation by its name; one of somebody else under that name counts as none. */
export interface OwnContainer {
  readonly client: DockerClient;
  readonly container: Dockerode.Container;
  readonly installation: string;
}

/**
 * Ends a container and removes it: SIGTERM, after `graceMs` SIGKILL. Resolves once its exit was seen and it is gone
 * (E3); at once when there is none. Returns the holder of its network namespace, if that was made for it ahead of time.
 * Throws ENGINE_ errors; then it may still run.
 */
export async function stopContainer(own: OwnContainer, graceMs: number): Promise<string | undefined> {
  const { client, container } = own;
  const { deadlines } = client;
  const info = await inspectOwn(own);
  if (info === undefined) return undefined;
  const state = info.State;
  if (state.Running) {
    // The engine refuses to signal a paused container, and its processes could not act on it.
    if (state.Paused)
      await tolerate(
        [404, 409],
        client.call('unpause a container', deadlines.changeMs, (abortSignal) => container.unpause({ abortSignal })),
      );
    else thawPastDaemon(info);
    const kill = (signal: 'SIGTERM' | 'SIGKILL') =>
      tolerate(
        [404, 409],
        client.call(`send ${signal} to a container`, deadlines.changeMs, (abortSignal) =>
          container.kill({ signal, abortSignal }),
        ),
      );
    if (graceMs > 0) await kill('SIGTERM');
    if (graceMs <= 0 || !(await hasEnded(client, container, graceMs))) {
      await kill('SIGKILL');
      if (!(await hasEnded(client, container, deadlines.startMs))) {
        throw new EbbError('ENGINE_TIMEOUT', `a container did not end within ${deadlines.startMs} ms of SIGKILL`);
      }
    }
  }
  await removeContainer(client, container);
  return info.Config.Labels[HOLDER_LABEL];
}

/** The daemon does not know of what was frozen through the control group; who froze it may be a server long gone. */
function thawPastDaemon(info: Dockerode.ContainerInspectInfo): void {
  const freezer = findCgroupFreezer({ id: info.Id, pid: info.State.Pid });
  try {
    if (freezer?.isFrozen()) freezer.thaw();
  } catch {
    // It ended by itself in between.
  }
}

/** Removes a container, ended or not, if there is one. Throws ENGINE_ errors. */
export async function removeOwn(own: OwnContainer): Promise<void> {
  if (await inspectOwn(own)) await removeContainer(own.client, own.container);
}

/** Everything about a container, or undefined when the installation has none of that name. */
async function inspectOwn(own: OwnContainer): Promise<Dockerode.ContainerInspectInfo | undefined> {
  const info = await inspectContainer(own.client, own.container);
  return info?.Config.Labels[INSTALLATION_LABEL] === own.installation ? info : undefined;
}

/** Removes a container by force; one that is not there is as good. Throws ENGINE_ errors. */
export async function removeContainer(client: DockerClient, container: Dockerode.Container): Promise<void> {
  const { deadlines } = client;
  const until = performance.now() + deadlines.startMs;
  for (;;) {
    try {
      await client.call('remove a container', deadlines.startMs, (abortSignal) =>
        container.remove({ force: true, v: true, abortSignal }),
      );
      return;
    } catch (error) {
      if (statusOf(error) === 404) return;
      // 409 means that another removal is under way.
      if (statusOf(error) !== 409 || performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Everything about a container, or undefined when there is none. */
export async function inspectContainer(
  client: DockerClient,
  container: Dockerode.Container,
): Promise<Dockerode.ContainerInspectInfo | undefined> {
  try {
    return await client.call('inspect a container', client.deadlines.queryMs, (abortSignal) =>
      container.inspect({ abortSignal }),
    );
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

/** Waits at most `ms` for the end of a container; one that is not there has ended. */
export async function hasEnded(client: DockerClient, container: Dockerode.Container, ms: number): Promise<boolean> {
  try {
    await client.call('wait for a container', ms, (abortSignal) =>
      container.wait({ condition: 'not-running', abortSignal }),
    );
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return true;
    if (error instanceof EbbError && error.code === 'ENGINE_TIMEOUT') return false;
    throw error;
  }
}

/** Takes refusals with these statuses for success. */
export async function tolerate(statuses: readonly number[], work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    const status = statusOf(error);
    if (status === undefined || !statuses.includes(status)) throw error;
  }
}
