import type { InstanceLabels, InstanceSpec } from '../engine.ts';

/** Label that says whose a container or network is. */
export const INSTALLATION_LABEL = 'ebb.installation';
const INSTANCE_LABEL = 'ebb.instance';
/** Port of an image; managed runtimes have none. */
const PORT_LABEL = 'ebb.port';
/** Container that keeps the network namespace of an instance alive, where that was made ahead of time. */
export const HOLDER_LABEL = 'ebb.network-holder';
/** Address of an instance in such a namespace; the daemon shows it with the holder only. */
const ADDRESS_LABEL = 'ebb.address';
const CREATED_LABEL = 'ebb.created-at';

/** What the labels of a container say about the instance in it. */
export interface LabelledInstance {
  readonly id: string;
  readonly labels: InstanceLabels;
  readonly port?: number;
  readonly createdAt: number;
  /** Address in a network namespace made ahead of time. */
  readonly address?: string;
}

/** The labels a container of an instance gets. */
export function toDockerLabels(
  spec: InstanceSpec,
  createdAt: number,
  network?: { readonly holder: string; readonly address: string },
): Record<string, string> {
  return {
    [INSTALLATION_LABEL]: spec.labels.installation,
    'ebb.namespace': spec.labels.namespace,
    'ebb.function': spec.labels.function,
    'ebb.version': String(spec.labels.version),
    'ebb.generation': spec.labels.generation,
    [INSTANCE_LABEL]: spec.id,
    [CREATED_LABEL]: String(createdAt),
    ...(spec.source.kind === 'image' ? { [PORT_LABEL]: String(spec.source.port) } : {}),
    ...(network === undefined ? {} : { [HOLDER_LABEL]: network.holder, [ADDRESS_LABEL]: network.address }),
  };
}

/** Reads labels back; undefined when they are not those of an instance of `installation`. */
export function fromDockerLabels(
  labels: Readonly<Record<string, string>>,
  installation: string,
): LabelledInstance | undefined {
  const id = labels[INSTANCE_LABEL];
  if (id === undefined || labels[INSTALLATION_LABEL] !== installation) return undefined;
  const port = labels[PORT_LABEL];
  const address = labels[ADDRESS_LABEL];
  return {
    id,
    labels: {
      installation,
      namespace: labels['ebb.namespace'] ?? '',
      function: labels['ebb.function'] ?? '',
      version: Number(labels['ebb.version'] ?? 0),
      generation: labels['ebb.generation'] ?? '',
    },
    createdAt: Number(labels[CREATED_LABEL] ?? 0),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(address === undefined ? {} : { address }),
  };
}
