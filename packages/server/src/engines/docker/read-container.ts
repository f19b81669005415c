import type Dockerode from 'dockerode';
import type { Instance, Target } from '../engine.ts';
import { instanceDirPaths } from '../instance-dir.ts';
import type { ContainerFreezer } from './container-freezer.ts';
import type { DockerClient } from './docker-client.ts';
import { readIdentity } from './identity.ts';
import { fromDockerLabels, INSTALLATION_LABEL, type LabelledInstance } from './instance-labels.ts';
import { inspectContainer } from './stop-container.ts';
import { toExit } from './to-exit.ts';

/** What a {@link ContainerReader} needs. */
export interface ContainerReaderOptions {
  readonly client: DockerClient;
  readonly installation: string;
  readonly runDir: string;
  readonly freezer: Pick<ContainerFreezer, 'isFrozen'>;
}

/** Turns the daemon's containers into the instances they are. */
export interface ContainerReader {
  /** Every container of the installation. */
  containers(): Promise<readonly Dockerode.ContainerInfo[]>;
  /** The instance a listed container is; undefined for what is none, is going, or is left out by its id. */
  read(info: Dockerode.ContainerInfo, isLeftOut: (id: string) => boolean): Promise<Instance | undefined>;
  /** The instance that labels describe. */
  toInstance(labelled: LabelledInstance, state: Instance['state'], host: string | undefined): Instance;
}

/** Host of an instance that ended before it had an address; never resolves (RFC 2606). */
export const NO_HOST = 'exited.invalid';

/** Makes the reader of an installation's containers. */
export function createContainerReader(options: ContainerReaderOptions): ContainerReader {
  const { client, installation, runDir, freezer } = options;
  const { docker, deadlines } = client;

  function toInstance(labelled: LabelledInstance, state: Instance['state'], host: string | undefined): Instance {
    const target: Target =
      labelled.port === undefined
        ? { kind: 'unix', path: instanceDirPaths(runDir, labelled.id).socketPath }
        : { kind: 'tcp', host: labelled.address ?? host ?? NO_HOST, port: labelled.port };
    return { id: labelled.id, labels: labelled.labels, target, state, startedAt: labelled.createdAt };
  }

  /** The instance of a container under the labels of what it became, if it was a spare. */
  async function withIdentity(instance: Instance, { wasSpare }: LabelledInstance): Promise<Instance> {
    if (!wasSpare) return instance;
    const labels = await readIdentity(instanceDirPaths(runDir, instance.id).root, installation);
    return labels ? { ...instance, labels } : { ...instance, spare: true };
  }

  async function readState(info: Dockerode.ContainerInfo, labelled: LabelledInstance): Promise<Instance | undefined> {
    const host = addressOf(info.NetworkSettings?.Networks ?? {});
    if (info.State === 'running') {
      return toInstance(labelled, (await freezer.isFrozen(labelled.id)) ? 'frozen' : 'running', host);
    }
    if (info.State === 'paused') return toInstance(labelled, 'frozen', host);
    if (info.State === 'removing') return undefined;
    const full = await inspectContainer(client, docker.getContainer(info.Id));
    if (!full) return undefined;
    return { ...toInstance(labelled, 'exited', host), exit: toExit(full.State.ExitCode, full.State.OOMKilled) };
  }

  return {
    toInstance,
    containers: () =>
      client.call('list containers', deadlines.queryMs, (abortSignal) =>
        docker.listContainers({
          all: true,
          filters: JSON.stringify({ label: [`${INSTALLATION_LABEL}=${installation}`] }),
          abortSignal,
        }),
      ),
    async read(info, isLeftOut) {
      const labelled = fromDockerLabels(info.Labels, installation);
      if (!labelled || isLeftOut(labelled.id)) return undefined;
      const found = await readState(info, labelled);
      return found && withIdentity(found, labelled);
    },
  };
}

/** The first address a container has in any network. */
export function addressOf(networks: Readonly<Record<string, { readonly IPAddress?: string }>>): string | undefined {
  return Object.values(networks)
    .map(({ IPAddress }) => IPAddress)
    .find((address) => address !== undefined && address !== '');
}
