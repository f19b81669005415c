import type { FoundTask, InstanceSpec, TaskLabels, TaskSpec } from '../engine.ts';
import type { InstanceDir } from '../instance-dir.ts';
import { buildContainerConfig, type ContainerConfig, type HostFacts, type ImageFacts } from './build-host-config.ts';
import { HOLDER_LABEL, INSTALLATION_LABEL } from './instance-labels.ts';
import type { PreparedNetwork } from './prepared-networks.ts';

const TASK_LABEL = 'ebb.task-run';

/** Everything the container of a task is built from. */
export interface TaskInput {
  readonly spec: TaskSpec;
  readonly image: ImageFacts;
  readonly host: HostFacts;
  /** Where its secrets are. */
  readonly dir: InstanceDir;
  /** Name of the network to join. */
  readonly network: string;
  readonly preparedNetwork?: PreparedNetwork | undefined;
}

/**
 * The settings of a task's container: those of an instance of an image, with the same limits and hardening (E2), but no
 * port, labels of its own, and standard input where something is sent to it.
 */
export function buildTaskConfig({ spec, image, host, dir, network, preparedNetwork }: TaskInput): ContainerConfig {
  const {
    HostConfig,
    Env: _,
    ...base
  } = buildContainerConfig({
    spec: asInstance(spec),
    image,
    host,
    dir,
    network,
    preparedNetwork,
    runtime: { directory: '', entry: '' },
    createdAt: 0,
  });
  const hasSecrets = Object.keys(spec.secrets).length > 0;
  return {
    ...base,
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    Labels: toTaskLabels(spec, preparedNetwork),
    AttachStdin: spec.hasInput,
    OpenStdin: spec.hasInput,
    // Who reads it sees its end.
    StdinOnce: spec.hasInput,
    HostConfig: {
      ...HostConfig,
      Mounts: hasSecrets ? (HostConfig.Mounts ?? []) : [],
      // Nobody has to reach it, so it needs no interface at all.
      NetworkMode: spec.network === 'none' ? 'none' : (HostConfig.NetworkMode ?? network),
    },
  };
}

/** A task as if it were an instance; its labels and port are replaced. */
function asInstance(spec: TaskSpec): InstanceSpec {
  const { id, env, secrets, limits, tenant, user, network, readOnlyRootFilesystem } = spec;
  const { installation, namespace, job, generation } = spec.labels;
  return {
    id,
    labels: { installation, namespace, function: job, version: 0, generation },
    source: { kind: 'image', port: 0, ...spec.source },
    env,
    secrets,
    limits,
    tenant,
    user,
    network,
    readOnlyRootFilesystem,
  };
}

function toTaskLabels({ id, labels }: TaskSpec, network: PreparedNetwork | undefined): Record<string, string> {
  return {
    [INSTALLATION_LABEL]: labels.installation,
    [TASK_LABEL]: id,
    'ebb.namespace': labels.namespace,
    'ebb.job': labels.job,
    'ebb.task': String(labels.task),
    'ebb.attempt': String(labels.attempt),
    'ebb.generation': labels.generation,
    ...(network === undefined ? {} : { [HOLDER_LABEL]: network.holder }),
  };
}

/** The filter by which the daemon finds the containers of tasks. */
export function taskFilter(installation: string): string {
  return JSON.stringify({ label: [`${INSTALLATION_LABEL}=${installation}`, TASK_LABEL] });
}

/** What the labels of a container say about the task in it; undefined when it is none of `installation`. */
export function readTaskLabels(
  labels: Readonly<Record<string, string>>,
  installation: string,
): Pick<FoundTask, 'id' | 'labels'> | undefined {
  const id = labels[TASK_LABEL];
  if (id === undefined || labels[INSTALLATION_LABEL] !== installation) return undefined;
  const read: TaskLabels = {
    installation,
    namespace: labels['ebb.namespace'] ?? '',
    job: labels['ebb.job'] ?? '',
    task: Number(labels['ebb.task'] ?? 0),
    attempt: Number(labels['ebb.attempt'] ?? 0),
    generation: labels['ebb.generation'] ?? '',
  };
  return { id, labels: read };
}
