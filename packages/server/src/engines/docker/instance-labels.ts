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
/** On the container of a spare, for good; what it became is in its identity file. */
const SPARE_LABEL = 'ebb.spare';
const CREATED_LABEL = 'ebb.created-at';

/** What the labels of a container say about the instance in it. */
export interface LabelledInstance {
  readonly id: string;
  readonly labels: InstanceLabels;
  readonly port?: number;
  readonly createdAt: number;
  /** Address in a network namespace made ahead of time. */
  readonly address?: string;
  /** Whether it was made as a spare. */
  readonly wasSpare: boolean;
}

/** What labels say beside what the spec says. */
interface LabelDetails {
  readonly isSpare?: boolean;
  readonly network?: { readonly holder: string; readonly address: string } | undefined;
}

/** The labels a container of an instance gets. */
export function toDockerLabels(
  spec: InstanceSpec,
  createdAt: number,
  { isSpare = false, network }: LabelDetails = {},
): Record<string, string> {
  return {
    [INSTALLATION_LABEL]: spec.labels.installation,
    'ebb.namespace': spec.labels.namespace,
    'ebb.function': spec.labels.function,
    'ebb.version': String(spec.labels.version),
    'ebb.generation': spec.labels.generation,
    [INSTANCE_LABEL]: spec.id,
    [CREATED_LABEL]: String(createdAt),
    ...(isSpare ? { [SPARE_LABEL]: 'node' } : {}),
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
    wasSpare: labels[SPARE_LABEL] !== undefined,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(address === undefined ? {} : { address }),
  };
}
